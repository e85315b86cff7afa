#include "service.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <new>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/http_log.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

HttpResponse internal_error(std::string_view type) {
  // An exception's text may quote the user's: the log gets its type only.
  log_line("error", "predict_failed", {{"error", std::string(type)}});
  return error_response(500, "internal", "the model failed on this request; the server's log says more");
}

HttpResponse failure(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Refusal& refusal) {
    return refusal.response();
  } catch (const DataError&) {
    return error_response(422, "unacceptable_text", "texts: the model's tokenizer refuses a text; check its encoding");
  } catch (const ShapeError&) {
    return internal_error("ShapeError");
  } catch (const ValueError&) {
    return internal_error("ValueError");
  } catch (const Error&) {
    return internal_error("Error");
  } catch (const std::bad_alloc&) {
    return internal_error("bad_alloc");
  } catch (...) {
    return internal_error("unknown");
  }
}

void check(const nn::Prediction& prediction, const std::vector<std::string>& labels) {
  if (prediction.scores.size() != labels.size() || prediction.label < 0 ||
      static_cast<std::size_t>(prediction.label) >= labels.size()) {
    throw ShapeError(fmt::format("prediction: label {} and {} scores for {} labels", prediction.label,
                                 prediction.scores.size(), labels.size()));
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (!std::isfinite(prediction.scores[i])) {
      throw ValueError(fmt::format("prediction: score {} of label '{}' is not finite; check the model's weights",
                                   prediction.scores[i], labels[i]));
    }
  }
}

HttpResponse result_response(const Model& model, const BatchResult& result, const Limits& limits,
                             const std::function<HttpResponse(const Answer&)>& write) {
  switch (result.status) {
    case BatchResult::Status::kExpired:
      return error_response(504, "deadline", fmt::format("the request waited longer than the limit of {} ms; "
                                                         "send fewer texts or try again later",
                                                         limits.predict_time.count()));
    case BatchResult::Status::kRefused:
      return unavailable("queue_full", "others have queued less and went first; try again later",
                         limits.retry_after_seconds);
    case BatchResult::Status::kCancelled:
    case BatchResult::Status::kStopped:
      return unavailable("stopping", "the server is stopping; try again later", limits.retry_after_seconds);
    case BatchResult::Status::kFailed:
      return failure(result.error);
    case BatchResult::Status::kDone:
      break;
  }
  try {
    for (const nn::Prediction& prediction : result.predictions) check(prediction, model.classifier->labels());
    return write({model, result.predictions});
  } catch (...) {
    return failure(std::current_exception());
  }
}

}  // namespace

void Service::require_ready() const {
  if (draining_) throw Refusal(unavailable("draining", "the server is stopping", limits_.retry_after_seconds));
  if (!registry_->ready()) {
    throw Refusal(unavailable("loading", "no model is loaded yet", limits_.retry_after_seconds));
  }
}

Model Service::model(std::string_view name, std::string_view version) const {
  std::optional<Model> model = registry_->find(name);
  if (!model && !registry_->ready()) {
    throw Refusal(unavailable("loading", "no model is loaded yet", limits_.retry_after_seconds));
  }
  if (!model) {
    // Only what could be a name is repeated: anything else may be long or strange.
    const std::string which = Registry::valid_name(name) ? "named '" + std::string(name) + "'" : "of this name";
    throw Refusal(error_response(404, "unknown_model", "no model " + which + "; GET /v1/models lists them"));
  }
  if (!version.empty() && version != std::to_string(model->version)) {
    throw Refusal(error_response(404, "unknown_version",
                                 fmt::format("{}: no such version is served; version {} is", model->name,
                                             model->version)));
  }
  return std::move(*model);
}

void Service::predict(Model model, std::vector<std::string> texts, Routed::Reply reply,
                      std::function<HttpResponse(const Answer&)> write) {
  BatchRequest request;
  request.classifier = model.classifier;
  request.texts = std::move(texts);
  request.deadline = std::min(reply.deadline, Batcher::Clock::now() + limits_.predict_time);
  request.key = reply.key;
  request.cancelled = reply.cancelled;
  const bool queued =
      batcher_.submit(std::move(request),
                      [model = std::move(model), reply, write = std::move(write), limits = limits_](
                          const BatchResult& result) { reply(result_response(model, result, limits, write)); });
  if (!queued) {
    throw Refusal(unavailable("queue_full", fmt::format("limit of {} waiting texts reached; try again later",
                                                        limits_.queue_texts), limits_.retry_after_seconds));
  }
}

}  // namespace qing::serve
