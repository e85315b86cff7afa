// What every protocol stands on: models by name, and texts into predictions. Protocols only translate.
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
#include <qing/serve/http/router.h>
#include <qing/serve/keys/gatekeeper.h>
#include <qing/serve/monitoring/drift_monitor.h>
#include <qing/serve/monitoring/shadow.h>
#include <qing/serve/registry/model_thread.h>
#include <qing/serve/registry/registry.h>

namespace qing::serve {

/// What a model said of a request's texts. Each prediction has been checked: a score for every label, all finite.
struct Answer {
  const Model& model;
  const std::vector<nn::Prediction>& predictions;    ///< one a text, in order
  const std::vector<nn::Explanation>& explanations;  ///< likewise when asked for, else none
  const std::vector<std::string>& texts;             ///< when explanations were asked for

  const std::vector<std::string>& labels() const { return model.classifier->labels(); }
};

struct Job {
  Model model;
  std::vector<std::string> texts;
  bool explain = false;
};

/// Safe to use from many threads.
class Service {
 public:
  /// `batcher` must outlive the Service, as must `keys`, which tokens are charged to; null: to nobody.
  Service(std::shared_ptr<Registry> registry, Batcher& batcher, const Limits& limits, Gatekeeper* keys)
      : registry_(std::move(registry)), batcher_(batcher), limits_(limits), keys_(keys) {}

  /// The model of routes that name none. Refusal unless there is exactly one.
  Model only_model() const;
  /// By name or alias. Refusal: 404 when there is no such model, or not in this version (empty: the one that answers),
  /// 503 while there is none at all, or this one could not be loaded.
  Model model(std::string_view name, std::string_view version = {}) const;
  std::vector<Model> models() const { return registry_->list(); }
  bool ready() const { return !draining_ && registry_->ready(); }
  /// Refusal with a 503 that says why, unless ready.
  void require_ready() const;
  /// From now on not ready.
  void begin_drain() { draining_ = true; }

  /// Refusal when the queue of the model has no room for anything more of this key: cheaper than to read a body first.
  void require_room(const Model& model, const std::string& key) const;
  /// Predicts texts and replies with what `write` makes of them, or with the error. Texts must be UTF-8 and within
  /// limits(model). `write` runs on a compute thread and may throw what it likes. Refusal when the queue has no room,
  /// when more texts are to be explained than the limit explained_texts, or by a model that has no explanations.
  void predict(Job job, Routed::Reply reply, std::function<HttpResponse(const Answer&)> write);
  /// Changes the models on a thread of their own and replies with what `change` gives, or with the error it throws.
  /// Refusal when too many changes wait.
  void change_models(Routed::Reply reply, std::function<HttpResponse(Registry&)> change);
  /// Looks for models and versions that have come since, soon.
  void rescan();
  /// Changes that wait are answered with 503; returns when the one in hand has ended.
  void stop_changes() { changes_.stop(); }
  const Registry& registry() const { return *registry_; }
  const Limits& limits() const { return limits_; }
  Limits limits(const Model& model) const { return model.limits.within(limits_); }
  Statistics& statistics() { return statistics_; }
  const Statistics& statistics() const { return statistics_; }
  const DriftMonitor& drift() const { return drift_; }
  /// How often each model has given each of its labels.
  void for_each_label(
      const std::function<void(const std::string& model, const std::string& label, std::uint64_t count)>& visit) const;

 private:
  void charge(std::span<const nn::Prediction> predictions, const std::string& key);
  void count(const Answer& answer);
  std::optional<BatchRequest> shadow_copy(const Model& model, const BatchRequest& request) const;
  void submit_shadow(BatchRequest copy, const std::shared_ptr<ShadowComparison>& comparison,
                     const std::shared_ptr<ModelStatistics>& statistics);
  [[noreturn]] void refuse_full(const Model& model) const;

  std::shared_ptr<Registry> registry_;
  Batcher& batcher_;
  const Limits limits_;
  Gatekeeper* const keys_;
  std::atomic<bool> draining_ = false;
  Statistics statistics_;
  DriftMonitor drift_;
  mutable std::mutex labels_mutex_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> labels_;  // {model, label}
  ModelThread changes_;                                                  // ends before the rest
};

}  // namespace qing::serve
