// The part of the service that predicts: queue, trials, charges and counts.
#include <algorithm>
#include <cmath>
#include <exception>
#include <new>
#include <utility>

#include <fmt/format.h>

#include <qing/nn/models/model_error.h>
#include <qing/serve/common/log.h>
#include <qing/serve/service/service.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

HttpResponse internal_error(std::string_view type) {
  // The message of an exception may contain user text, so only its type is logged.
  log_line("error", "predict_failed", {{"error", type}});
  return error_response(500, "internal", "the model failed on this request; see the server's log");
}

// `input` is the field of the request that holds what the model reads.
HttpResponse failure(const std::exception_ptr& error, const std::string& input = "input") {
  try {
    std::rethrow_exception(error);
  } catch (const Refusal& refusal) { return refusal.response(); } catch (const nn::ModelError&) {
    return internal_error("ModelError");
  } catch (const DataError&) {
    return error_response(
        422, "unacceptable_text",
        fmt::format("{}: the model refuses a text that is not UTF-8 or has no tokens, or data that it "
                    "cannot read; correct it",
                    input));
  } catch (const ShapeError&) { return internal_error("ShapeError"); } catch (const ValueError&) {
    return internal_error("ValueError");
  } catch (const Error&) { return internal_error("Error"); } catch (const std::bad_alloc&) {
    return internal_error("bad_alloc");
  } catch (...) { return internal_error("unknown"); }
}

bool all_finite(const std::vector<float>& numbers) {
  return std::ranges::all_of(numbers, [](float number) { return std::isfinite(number); });
}

void check_embedding(const nn::Prediction& prediction, std::int64_t size) {
  if (static_cast<std::int64_t>(prediction.embedding.size()) != size) {
    throw ShapeError(fmt::format("prediction: a vector of {} numbers, not {}", prediction.embedding.size(), size));
  }
  if (!all_finite(prediction.embedding)) {
    throw ValueError("prediction: a number of the vector is not finite; check the model's weights");
  }
}

void check(const nn::Prediction& prediction, const nn::TextClassifier& classifier) {
  if (const std::int64_t size = classifier.embedding().size; size > 0) return check_embedding(prediction, size);
  const std::vector<std::string>& labels = classifier.labels();
  if (prediction.scores.size() != labels.size() || prediction.label < 0 ||
      static_cast<size_t>(prediction.label) >= labels.size()) {
    throw ShapeError(fmt::format("prediction: label {} and {} scores for {} labels", prediction.label,
                                 prediction.scores.size(), labels.size()));
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!std::isfinite(prediction.scores[i])) {
      throw ValueError(fmt::format("prediction: score {} of label '{}' is not finite; check the model's weights",
                                   prediction.scores[i], labels[i]));
    }
  }
}

HttpResponse status_response(const BatchResult& result, const Limits& limits, const TextPlace& place = {}) {
  switch (result.status) {
    case BatchResult::Status::kExpired:
      return error_response(504, "deadline",
                            "the request waited longer than its time limit; send fewer texts "
                            "or try again later");
    case BatchResult::Status::kRefused:
      return unavailable("queue_full",
                         "the queue is full, and other keys with less queued work went first; try again later",
                         limits.retry_after_seconds);
    case BatchResult::Status::kFailed: return failure(result.error, place ? place(result.failed_text) : "input");
    default:  // kStopped, or kCancelled, whose response is never read
      return unavailable("stopping", "the server is stopping; try again later", limits.retry_after_seconds);
  }
}

// Cost of an explanation, as a multiple of a prediction.
constexpr size_t kExplanationCost = 50;

// Texts that are explained are computed one by one, and not in batches, which count theirs.
void count_explained(ModelStatistics& statistics, std::span<const nn::Prediction> predictions) {
  for (const nn::Prediction& prediction : predictions) {
    statistics.texts += prediction.tokens > 0;
    statistics.tokens += static_cast<std::uint64_t>(prediction.tokens);
  }
}

// Everything that must live until the response is written.
struct Pending {
  Job job;
  std::vector<nn::Explanation> explanations;  // one per text if requested
  std::function<HttpResponse(const Answer&)> write;
};

HttpResponse result_response(const Pending& pending, const BatchResult& result, const Limits& limits,
                             const std::function<void(const Answer&)>& seen) {
  if (result.status != BatchResult::Status::kDone) return status_response(result, limits, pending.job.place);
  try {
    for (const nn::Prediction& prediction : result.predictions) check(prediction, *pending.job.model.classifier);
    const Answer answer{pending.job.model, result.predictions, pending.explanations, pending.job.texts};
    seen(answer);
    return pending.write(answer);
  } catch (...) { return failure(std::current_exception()); }
}

// Whether a request is in the share of a trial. The decision is a hash of who asks: of the header X-Caller-Id, else of
// the key, else of the texts or pictures. So a caller gets the same version again and stays in a share that grows. A
// share of the requests is decided by the request's id, so that a repeated request gets the same version. The hash is
// FNV-1a (Fowler, Noll, Vo) with its low bits mixed into the high ones.
bool in_share(std::span<const std::string> contents, const Routed::Reply& reply, const Model& model) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  const auto add = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    hash = (hash ^ 0xffU) * 0x100000001b3U;
  };
  add(model.name);
  if (model.trial.by_request) {
    add(reply.request_id);
  } else {
    add(reply.caller.empty() ? reply.key : reply.caller);
    if (reply.caller.empty() && reply.key.empty()) {
      for (const std::string& content : contents) add(content);
    }
  }
  hash = (hash ^ (hash >> 32U)) * 0x9e3779b97f4a7c15U;
  return static_cast<double>(hash >> 11U) * 0x1p-53 < model.trial.share;
}

// A request that could never wait in the queue.
void require_fits(const BatchRequest& request) {
  const size_t tokens = BatchQueue::tokens_of(request, 0, request.texts.size());
  if (request.texts.size() <= request.queue_texts && tokens <= request.queue_tokens) return;
  throw Refusal(error_response(422, "unacceptable_field",
                               fmt::format("{} texts that cost as much as {} tokens are more than the limits of {} "
                                           "texts and {} tokens that may wait; send fewer",
                                           request.texts.size(), tokens, request.queue_texts, request.queue_tokens)));
}

}  // namespace

// A client that disconnects or sets a short timeout is charged for what was computed.
void Service::charge(std::span<const nn::Prediction> predictions, const std::string& key) {
  if (keys_ == nullptr || key.empty()) return;
  std::int64_t tokens = 0;
  for (const nn::Prediction& prediction : predictions) tokens += prediction.tokens;
  if (tokens > 0) keys_->charge_tokens(key, tokens);
}

void Service::count(const Answer& answer) {
  if (answer.model.classifier->embeds()) return;  // there are no labels to count
  drift_.add(answer.model, answer.predictions);
  versions_.add_predictions(answer.model.name, answer.model.version, answer.labels(), answer.predictions,
                            answer.model.classifier->problem() == nn::Problem::multi_label);
}

void Service::refuse_full(const Model& model) const {
  const Limits most = limits(model);
  throw Refusal(unavailable("queue_full",
                            fmt::format("limit of {} waiting texts or {} waiting tokens reached; try again "
                                        "later",
                                        most.queue_texts, most.queue_tokens),
                            most.retry_after_seconds));
}

void Service::require_room(const Model& model, const Routed::Reply& reply) const {
  *reply.note = {model.name, model.version, 0};
  if (!batcher_.would_admit(model.served.get(), reply.key)) refuse_full(model);
}

// The copy of a request for the version that does not answer it, to be computed when nothing else waits. Nothing for a
// caller outside of the share.
std::optional<BatchRequest> Service::shadow_copy(const Model& model, const BatchRequest& request,
                                                 const Routed::Reply& reply) const {
  if (model.classifier->embeds()) return std::nullopt;  // a comparison needs labels and scores
  if (!model.candidate || request.work || draining_) return std::nullopt;
  const bool answered_on_trial = model.trial.compare && model.version == model.trial.version;
  if (!model.trial.shadow && !answered_on_trial) return std::nullopt;
  if (!in_share(request.texts, reply, model)) return std::nullopt;
  BatchRequest copy;
  copy.classifier = model.candidate_classifier();
  copy.texts = request.texts;
  copy.deadline = Batcher::Clock::now() + limits_.predict_time;
  copy.background = true;
  return copy;
}

// The result of the copy does not affect the original request.
void Service::submit_shadow(BatchRequest copy, const std::shared_ptr<ShadowComparison>& comparison,
                            const std::shared_ptr<ModelStatistics>& statistics) {
  const size_t texts = copy.texts.size();
  const auto done = [comparison, statistics, texts](BatchResult result) {
    if (result.status == BatchResult::Status::kDone) return comparison->shadow(std::move(result.predictions));
    statistics->shadow_dropped += texts;
  };
  if (!batcher_.submit(std::move(copy), done)) statistics->shadow_dropped += texts;
}

Model Service::answering(Model model, std::span<const std::string> contents, const Routed::Reply& reply) {
  if (!model.candidate || model.trial.shadow || !in_share(contents, reply, model)) return model;
  model.version = model.trial.version;
  auto other = std::move(model.served);
  model.serve(std::move(model.candidate));
  model.candidate = std::move(other);  // the version that does not answer
  ++statistics_.model(model.name)->canary_requests;
  return model;
}

BatchRequest Service::request_for(const Model& model, const Routed::Reply& reply) {
  const Limits limits = this->limits(model);
  BatchRequest request;
  request.classifier = model.classifier;
  request.model = model.served;
  *reply.deadline = std::min(*reply.deadline, Batcher::Clock::now() + limits.predict_time);
  request.deadline = *reply.deadline;
  request.key = reply.key;
  request.queue_texts = limits.queue_texts;
  request.queue_tokens = limits.queue_tokens;
  request.cancelled = reply.cancelled;
  request.statistics = statistics_.model(model.name);
  return request;
}

void Service::compute(const Model& model, std::vector<std::string> texts, TextPlace place, Routed::Reply reply,
                      std::function<void(size_t)> task, std::function<HttpResponse()> write) {
  *reply.note = {model.name, model.version, texts.size()};
  BatchRequest request = request_for(model, reply);
  request.texts = std::move(texts);
  request.work = [task = std::move(task)](size_t i) {
    task(i);
    return nn::Prediction{};
  };
  require_fits(request);
  const auto done = [limits = limits(model), place = std::move(place), reply = std::move(reply),
                     write = std::move(write)](const BatchResult& result) {
    if (result.status != BatchResult::Status::kDone) return reply(status_response(result, limits, place));
    try {
      reply(write());
    } catch (...) { reply(failure(std::current_exception())); }
  };
  if (!batcher_.submit(std::move(request), done)) refuse_full(model);
}

void Service::work(const Model& model, Work work, Routed::Reply reply) {
  *reply.note = {model.name, model.version, work.items};
  BatchRequest request = request_for(model, reply);
  request.texts.resize(work.costs.size());
  request.costs = std::move(work.costs);
  request.shared = std::move(work.shared);
  const auto tokens = std::make_shared<std::atomic<std::int64_t>>(0);
  if (!request.shared) {
    request.work = [run = std::move(work.run), tokens](size_t i) {
      *tokens += run(i);
      return nn::Prediction{};
    };
  }
  require_fits(request);
  const auto statistics = request.statistics;
  const bool shared = request.shared != nullptr;
  const bool queued = batcher_.submit(
      std::move(request), [this, tokens, shared, items = work.items, statistics, name = model.name,
                           version = model.version, most = limits(model), reply = std::move(reply),
                           write = std::move(work.write), begun = Batcher::Clock::now()](const BatchResult& result) {
        if (keys_ != nullptr && !reply.key.empty() && *tokens > 0) keys_->charge_tokens(reply.key, *tokens);
        charge(result.predictions, reply.key);  // of shared work; other pieces have none
        // Shared work is counted by the batch.
        if (!shared) {
          statistics->tokens += static_cast<std::uint64_t>(tokens->load());
          if (result.status == BatchResult::Status::kDone) statistics->texts += items;
        }
        HttpResponse response;
        try {
          response = result.status == BatchResult::Status::kDone ? write() : status_response(result, most);
        } catch (...) { response = failure(std::current_exception()); }
        if (result.status != BatchResult::Status::kCancelled) {
          versions_.add(name, version, response.status >= 500, Batcher::Clock::now() - begun);
        }
        reply(std::move(response));
      });
  if (!queued) refuse_full(model);
}

void Service::count_work(const Model& model, const Routed::Reply& reply, std::int64_t tokens,
                         const HttpResponse& response, std::chrono::steady_clock::duration time) {
  if (keys_ != nullptr && !reply.key.empty() && tokens > 0) keys_->charge_tokens(reply.key, tokens);
  const std::shared_ptr<ModelStatistics> statistics = statistics_.model(model.name);
  ++statistics->requests;
  statistics->tokens += static_cast<std::uint64_t>(tokens);
  statistics->compute_seconds.observe(std::chrono::duration<double>(time).count());
  if (response.status == 0) {
    ++statistics->cancelled;
    return;
  }
  statistics->texts += reply.note->texts;
  if (response.status == 504) ++statistics->expired;
  if (response.status == 500) ++statistics->failed;
  versions_.add(model.name, model.version, response.status >= 500, time);
}

HttpResponse Service::failure_response(const std::exception_ptr& error) { return failure(error); }

void Service::predict(Job job, Routed::Reply reply, std::function<HttpResponse(const Answer&)> write) {
  job.model = answering(std::move(job.model), job.texts, reply);
  *reply.note = {job.model.name, job.model.version, job.texts.size()};
  if (const bool embeds = job.model.classifier->embeds(); embeds != job.embed) {
    throw Refusal(error_response(422, "unacceptable_model",
                                 embeds ? "model: gives embeddings instead of labels; ask /v1/embeddings or /embed"
                                        : "model: gives labels instead of embeddings; ask a route that classifies"));
  }
  if (job.explain && !job.model.classifier->explains()) {
    throw Refusal(error_response(422, "unacceptable_field", "explain: this model has no explanations; leave it out"));
  }
  const Limits limits = this->limits(job.model);
  if (job.explain && job.texts.size() > limits.explained_texts) {
    throw Refusal(
        error_response(422, "unacceptable_field",
                       fmt::format("explain: {} texts exceed the limit of {} explained texts per request; send "
                                   "several requests",
                                   job.texts.size(), limits.explained_texts)));
  }
  if (!job.place) job.place = [](size_t i) { return fmt::format("texts[{}]", i); };
  const auto pending = std::make_shared<Pending>(Pending{std::move(job), {}, std::move(write)});
  BatchRequest request = request_for(pending->job.model, reply);
  if (pending->job.explain) {
    request.texts = pending->job.texts;
    pending->explanations.resize(request.texts.size());
    // One text at a time, so that other requests run in between and the rest is skipped after a disconnect.
    request.work = [pending](size_t index) {
      const nn::TextClassifier& classifier = *pending->job.model.classifier;
      const std::span<const std::string> text(&pending->job.texts[index], 1);
      pending->explanations[index] = std::move(classifier.explain(text).front());
      return std::move(classifier.predict(text).front());
    };
    request.work_cost = kExplanationCost;
  } else {
    request.texts = std::move(pending->job.texts);
  }
  require_fits(request);
  const auto statistics = request.statistics;
  std::optional<BatchRequest> copy = shadow_copy(pending->job.model, request, reply);
  const auto shadow =
      copy ? std::make_shared<ShadowComparison>(statistics, pending->job.model.classifier->problem()) : nullptr;
  std::string owner = project(reply.key);
  const bool queued =
      batcher_.submit(std::move(request), [this, pending, shadow, project = std::move(owner), reply = std::move(reply),
                                           begun = Batcher::Clock::now()](const BatchResult& result) {
        charge(result.predictions, reply.key);
        const Model& model = pending->job.model;
        if (pending->job.explain) count_explained(*statistics_.model(model.name), result.predictions);
        HttpResponse response = result_response(*pending, result, this->limits(model), [&](const Answer& answer) {
          count(answer);
          if (model.classifier->embeds()) return;  // there is no label to give feedback on
          answers_.add(project, reply.request_id, model.name, model.version, answer.labels(), answer.predictions,
                       model.classifier->problem());
        });
        if (result.status != BatchResult::Status::kCancelled) {
          versions_.add(model.name, model.version, response.status >= 500, Batcher::Clock::now() - begun);
        }
        reply(std::move(response));
        if (shadow && result.status == BatchResult::Status::kDone) shadow->served(result.predictions);
      });
  if (!queued) refuse_full(pending->job.model);
  if (copy) submit_shadow(std::move(*copy), shadow, statistics);
}

}  // namespace qing::serve
