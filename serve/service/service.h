// The layer below all protocols: finds models by name and predicts texts. Protocols only translate.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/serve/batching/batcher.h>
#include <qing/serve/common/limits.h>
#include <qing/serve/common/statistics.h>
#include <qing/serve/common/work_thread.h>
#include <qing/serve/http/router.h>
#include <qing/serve/keys/gatekeeper.h>
#include <qing/serve/monitoring/drift_monitor.h>
#include <qing/serve/monitoring/shadow.h>
#include <qing/serve/registry/registry.h>
#include <qing/serve/state/state.h>

namespace qing::serve {

/// The predictions for the texts of a request. Each is checked to have one finite score for every label or, of a model
/// of embeddings, a finite vector.
struct Answer {
  const Model& model;
  const std::vector<nn::Prediction>& predictions;    ///< one per text, in order
  const std::vector<nn::Explanation>& explanations;  ///< one per text if requested, else empty
  const std::vector<std::string>& texts;             ///< set if explanations were requested

  const std::vector<std::string>& labels() const { return model.classifier->labels(); }
};

struct Job {
  Model model;
  std::vector<std::string> texts;
  bool explain = false;
  bool embed = false;  ///< asks for embeddings instead of labels
};

/// Safe to use from many threads.
class Service {
 public:
  /// `batcher` and `keys` must outlive the Service. Tokens are charged to `keys`; null charges nobody. Null `state`
  /// keeps nothing: with_state() refuses.
  Service(std::shared_ptr<Registry> registry, Batcher& batcher, const Limits& limits, Gatekeeper* keys,
          std::shared_ptr<const State> state = nullptr)
      : registry_(std::move(registry)), batcher_(batcher), limits_(limits), keys_(keys), state_(std::move(state)) {}

  /// The model for routes without a model name. Refusal unless there is exactly one model.
  Model only_model() const;
  /// Finds a model by name or alias. An empty `version` is the active version. Refusal with 404 when the model or the
  /// version does not exist; with 503 while there are no models or when this one could not be loaded.
  Model model(std::string_view name, std::string_view version = {}) const;
  std::vector<Model> models() const { return registry_->list(); }
  bool ready() const { return !draining_ && registry_->ready(); }
  /// Refusal with 503 and the reason, unless ready.
  void require_ready() const;
  /// Makes ready() false.
  void begin_drain() { draining_ = true; }

  /// Whether the caller may read what is meant for administrators, such as paths on the server: its key has the scope
  /// admin, or the server has no keys.
  bool may_administer(const std::string& key) const { return keys_ == nullptr || keys_->allows(key, Scope::kAdmin); }
  /// The project of a caller by the id of its key.
  std::string project(const std::string& key) const;
  /// Refusal when the queue of the model has no room for this key. Call it before reading a body, to save that work.
  void require_room(const Model& model, const std::string& key) const;
  /// Predicts texts and replies with the result of `write`, or with the error. Texts must be UTF-8 and within
  /// limits(model). `write` runs on a compute thread and may throw any exception. Refusal when the queue is full, when
  /// more texts than explained_texts are to be explained, or when the model does not support what is asked for.
  void predict(Job job, Routed::Reply reply, std::function<HttpResponse(const Answer&)> write);
  /// Calls task(i) for every text on compute threads, one at a time, and replies with the result of `write`, or with
  /// the error. Nothing is charged to the key. Refusal when the queue is full.
  void compute(const Model& model, std::vector<std::string> texts, Routed::Reply reply,
               std::function<void(size_t)> task, std::function<HttpResponse()> write);
  /// Runs `change` on the model thread and replies with its result, or with the error it throws. Refusal when too many
  /// changes are waiting.
  void change_models(Routed::Reply reply, std::function<HttpResponse(Registry&)> change);
  /// Runs `task` with the state's database on the thread that waits for disks, and replies with its result, or with the
  /// error it throws. Tasks run one at a time. Refusal when the server keeps no state, or when too many tasks wait.
  void with_state(Routed::Reply reply, std::function<HttpResponse(Database&)> task);
  /// Null when the server keeps no state.
  const State* state() const { return state_.get(); }
  /// Schedules a search for new models and versions.
  void rescan();
  /// Answers waiting changes with 503, and returns when the running ones have ended.
  void stop_changes() {
    changes_.stop();
    disk_.stop();
  }
  const Registry& registry() const { return *registry_; }
  const Limits& limits() const { return limits_; }
  Limits limits(const Model& model) const { return model.limits.within(limits_); }
  Statistics& statistics() { return statistics_; }
  const Statistics& statistics() const { return statistics_; }
  const DriftMonitor& drift() const { return drift_; }
  /// Visits the number of predictions of each label of each model.
  void for_each_label(
      const std::function<void(const std::string& model, const std::string& label, std::uint64_t count)>& visit) const;

 private:
  void charge(std::span<const nn::Prediction> predictions, const std::string& key);
  void count(const Answer& answer);
  std::optional<BatchRequest> shadow_copy(const Model& model, const BatchRequest& request) const;
  void submit_shadow(BatchRequest copy, const std::shared_ptr<ShadowComparison>& comparison,
                     const std::shared_ptr<ModelStatistics>& statistics);
  BatchRequest request_for(const Model& model, const Routed::Reply& reply);
  [[noreturn]] void refuse_full(const Model& model) const;
  void submit(WorkThread& thread, Routed::Reply reply, std::function<HttpResponse()> task);

  std::shared_ptr<Registry> registry_;
  Batcher& batcher_;
  const Limits limits_;
  Gatekeeper* const keys_;
  const std::shared_ptr<const State> state_;
  std::atomic<bool> draining_ = false;
  Statistics statistics_;
  DriftMonitor drift_;
  mutable std::mutex labels_mutex_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> labels_;  // {model, label}
  std::optional<Database> database_;                                     // of the state, used by disk_ only
  WorkThread changes_, disk_;                                            // end before the rest
};

}  // namespace qing::serve
