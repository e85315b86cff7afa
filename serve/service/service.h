// The layer below all protocols: finds models by name and predicts texts. Protocols only translate.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
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
#include <qing/serve/maintenance/caretaker.h>
#include <qing/serve/monitoring/answer_log.h>
#include <qing/serve/monitoring/drift_monitor.h>
#include <qing/serve/monitoring/shadow.h>
#include <qing/serve/monitoring/version_statistics.h>
#include <qing/serve/registry/registry.h>
#include <qing/serve/state/audit.h>
#include <qing/serve/state/state.h>

namespace qing::serve {

class JobRunner;

/// The predictions for the texts of a request. Each is checked to have one finite score for every label or, of a model
/// of embeddings, a finite vector.
struct Answer {
  const Model& model;
  const std::vector<nn::Prediction>& predictions;    ///< one per text, in order
  const std::vector<nn::Explanation>& explanations;  ///< one per text if requested, else empty
  const std::vector<std::string>& texts;             ///< set if explanations were requested

  const std::vector<std::string>& labels() const { return model.classifier->labels(); }
};

/// The field of a request that holds a text, by the index of the text, for errors: "texts[3]".
using TextPlace = std::function<std::string(size_t)>;

struct Job {
  Model model;
  std::vector<std::string> texts;
  bool explain = false;
  bool embed = false;    ///< asks for embeddings instead of labels
  TextPlace place = {};  ///< null: texts[0], texts[1], ...
};

/// A change to the models, and what the audit log says of it.
struct ModelChange {
  std::string action;  ///< "model.load"
  std::string object;  ///< name of a model or an alias, as the client wrote it
  std::string detail;  ///< nothing that a client may write freely
  std::function<HttpResponse(Registry&)> run;
};

/// Safe to use from many threads.
class Service {
 public:
  /// `batcher` and `keys` must outlive the Service. Tokens are charged to `keys`; null charges nobody. Null `state`
  /// keeps nothing: with_state() refuses. `jobs`, which outlives the Service, knows whose the models of its jobs are;
  /// null without a state.
  Service(std::shared_ptr<Registry> registry, Batcher& batcher, const Limits& limits, Gatekeeper* keys,
          std::shared_ptr<const State> state = nullptr, JobRunner* jobs = nullptr)
      : registry_(std::move(registry)),
        batcher_(batcher),
        limits_(limits),
        keys_(keys),
        state_(std::move(state)),
        jobs_(jobs) {}

  /// The model for routes without a model name, for a caller with this key: of those that classify texts or give
  /// embeddings. Refusal unless there is exactly one that is not private, or none of these and exactly one private one.
  Model only_model(const std::string& key) const;
  /// Finds a model of any task by name or alias. An empty `version` is the active version. Refusal with 404 when the
  /// model or the version does not exist or is another project's; with 503 while there are no models or when this one
  /// could not be loaded.
  Model any_model(std::string_view name, const std::string& key, std::string_view version = {}) const;
  /// The same for a model that classifies texts or gives embeddings: Model::classifier is not null. Refusal with 422
  /// for a model of another task, which names the route to use.
  Model model(std::string_view name, const std::string& key, std::string_view version = {}) const;
  /// The same for a model of a task, such as nn::kTagging.
  Model task_model(std::string_view task, std::string_view name, const std::string& key,
                   std::string_view version = {}) const;
  /// Those that the caller may see, by name.
  std::vector<Model> models(const std::string& key) const;
  /// Whether a caller may see the model of this name, which is no alias: it is not private, or its project's.
  bool visible(const std::string& model, const std::string& key) const;
  /// The project of a private model.
  std::optional<std::string> owner(const std::string& model) const;
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
  /// Notes the model for the log. Refusal when the queue of the model has no room for the client's key. Call it before
  /// reading a body, to save that work.
  void require_room(const Model& model, const Routed::Reply& reply) const;
  /// Predicts texts and replies with the result of `write`, or with the error. Texts must be UTF-8 and within
  /// limits(model). `write` runs on a compute thread and may throw any exception. Refusal when the queue is full, when
  /// more texts than explained_texts are to be explained, or when the model does not support what is asked for.
  void predict(Job job, Routed::Reply reply, std::function<HttpResponse(const Answer&)> write);
  /// Calls task(i) for every text on compute threads, one at a time, and replies with the result of `write`, or with
  /// the error, which names place(i). Nothing is charged to the key. Refusal when the queue is full.
  void compute(const Model& model, std::vector<std::string> texts, TextPlace place, Routed::Reply reply,
               std::function<void(size_t)> task, std::function<HttpResponse()> write);
  /// The version that answers a request for a model: the version on trial if the request is in the share of a canary,
  /// which counts it. `contents` are the request's texts or pictures, by which callers without a name or key are told
  /// apart.
  Model answering(Model model, std::span<const std::string> contents, const Routed::Reply& reply);
  /// Work for a model of any task: pieces that compute threads do one at a time, in turn with those of other requests.
  struct Work {
    std::vector<size_t> costs;  ///< of each piece, as a number of tokens; all together fit into the queue's limits
    size_t items = 0;           ///< texts or pictures, for the log and the metrics
    /// Called with the number of each piece, on any thread. Returns the tokens to charge to the key.
    std::function<std::int64_t(size_t)> run = nullptr;
    /// Instead of `run`: computes the pieces in batches with those of other requests for the model.
    std::shared_ptr<SharedWork> shared = nullptr;
    std::function<HttpResponse()> write;  ///< once, when all pieces are done
  };
  /// Does the work and replies. Counts the request and the tokens. Refusal when the queue is full.
  void work(const Model& model, Work work, Routed::Reply reply);
  /// The same for work that the caller does itself: charges the tokens to the key, and counts the request and its
  /// answer, whose status is 0 when nobody waits for it any more.
  void count_work(const Model& model, const Routed::Reply& reply, std::int64_t tokens, const HttpResponse& response,
                  std::chrono::steady_clock::duration time);
  /// The answer to a request on which a model threw: a Refusal's own, 422 for a DataError but a ModelError, else 500.
  static HttpResponse failure_response(const std::exception_ptr& error);
  /// Runs a change on the model thread and replies with its result, or with the error it throws. With a state, the
  /// audit log has the change before it begins, and once more with ".failed" if it throws; a change that cannot be
  /// logged is refused. Refusal when too many changes are waiting.
  void change_models(Routed::Reply reply, ModelChange change);
  /// Runs `task` with the state's database on the thread that waits for disks, and replies with its result, or with the
  /// error it throws. Tasks run one at a time. Refusal when the server keeps no state, or when too many tasks wait.
  void with_state(Routed::Reply reply, std::function<HttpResponse(Database&)> task);
  /// Like with_state(), on the thread that examines and stores uploaded files, which may take long.
  void store_file(Routed::Reply reply, std::function<HttpResponse(Database&)> task);
  /// Runs `task` on the thread that moves the bytes of files. False, with the task never called, when too many wait.
  bool move_bytes(WorkThread::Task task) { return bytes_.submit(std::move(task)); }
  /// The refusal of a request for whose work too much is waiting.
  HttpResponse busy() const;
  /// Null when the server keeps no state.
  const State* state() const { return state_.get(); }
  JobRunner* jobs() const { return jobs_; }
  /// Schedules a search for new models and versions.
  void rescan();
  /// Looks after automatic trials, reports and retraining from now on. Does nothing without a state. `webhook` may be
  /// null.
  void start_care(std::unique_ptr<Webhook> webhook);
  /// Answers waiting changes with 503, and returns when the running ones have ended.
  void stop_changes() {
    if (caretaker_) caretaker_->stop();
    changes_.stop();
    bytes_.stop();
    files_.stop();
    disk_.stop();
  }
  const Registry& registry() const { return *registry_; }
  const Limits& limits() const { return limits_; }
  Limits limits(const Model& model) const { return model.limits.within(limits_); }
  Statistics& statistics() { return statistics_; }
  const Statistics& statistics() const { return statistics_; }
  const DriftMonitor& drift() const { return drift_; }
  /// Which requests were answered, for feedback.
  AnswerLog& answers() { return answers_; }
  /// Requests and predictions of each version.
  const VersionStatistics& versions() const { return versions_; }

 private:
  void charge(std::span<const nn::Prediction> predictions, const std::string& key);
  void count(const Answer& answer);
  std::optional<BatchRequest> shadow_copy(const Model& model, const BatchRequest& request,
                                          const Routed::Reply& reply) const;
  void submit_shadow(BatchRequest copy, const std::shared_ptr<ShadowComparison>& comparison,
                     const std::shared_ptr<ModelStatistics>& statistics);
  BatchRequest request_for(const Model& model, const Routed::Reply& reply);
  [[noreturn]] void refuse_unknown(std::string_view name) const;
  static std::string route_of(const Model& model);
  [[noreturn]] void refuse_full(const Model& model) const;
  void refresh_owners();
  void note(const AuditEntry& entry);
  void submit_with_state(WorkThread& thread, std::optional<Database>& database, Routed::Reply reply,
                         std::function<HttpResponse(Database&)> task);
  void submit(WorkThread& thread, Routed::Reply reply, std::function<HttpResponse()> task);

  std::shared_ptr<Registry> registry_;
  Batcher& batcher_;
  const Limits limits_;
  Gatekeeper* const keys_;
  const std::shared_ptr<const State> state_;
  JobRunner* const jobs_;
  std::atomic<bool> draining_ = false;
  Statistics statistics_;
  DriftMonitor drift_;
  VersionStatistics versions_;
  AnswerLog answers_;
  // Of the state, each for the thread of its name alone.
  std::optional<Database> database_, files_database_;
  std::optional<Database> audit_;              // likewise, used by changes_ only
  bool audit_missing_ = false;                 // used by changes_ only
  std::unique_ptr<Caretaker> caretaker_;       // ends before what it looks at
  WorkThread changes_, disk_, files_, bytes_;  // end before the rest
};

}  // namespace qing::serve
