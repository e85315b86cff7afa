#include "api.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <new>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include <qing/serve/http_log.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

constexpr std::string_view kModels = "/v1/models";

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return out;
}

// application/json, with or without parameters; JSON is UTF-8, so that another charset is another type.
bool is_json(std::string_view content_type) {
  const std::string type = lower(content_type);
  const std::size_t semicolon = type.find(';');
  std::string media = type.substr(0, semicolon);
  media.erase(media.find_last_not_of(" \t") + 1);
  if (media != "application/json") return false;
  const std::size_t charset = type.find("charset=");
  return charset == std::string::npos || type.find("utf-8", charset) != std::string::npos;
}

bool is_read(const HttpHead& head) { return head.method == "GET" || head.method == "HEAD"; }

Routed refused(std::string_view name, HttpResponse response) { return {name, std::move(response), nullptr}; }

Routed not_allowed(std::string_view name, std::string_view allow) {
  HttpResponse response = error_response(405, "method_not_allowed", fmt::format("{} takes {}", name, allow));
  response.headers.emplace_back("Allow", allow);
  return refused(name, std::move(response));
}

Routed answer(std::string_view name, HttpResponse response) {
  return {name, std::nullopt, [response = std::move(response)](const std::string&, const Routed::Reply& reply) {
            reply(response);
          }};
}

std::string model_json(const Model& model) {
  std::string labels;
  for (const std::string& label : model.classifier->labels()) {
    labels += (labels.empty() ? "" : ",") + json_quoted(label);
  }
  return fmt::format(R"({{"name":{},"version":"{}","versions":["{}"],"labels":[{}]}})", json_quoted(model.name),
                     model.version, fmt::join(model.versions, "\",\""), labels);
}

std::string prediction_json(const nn::Prediction& prediction, const std::vector<std::string>& labels) {
  if (prediction.scores.size() != labels.size() || prediction.label < 0 ||
      static_cast<std::size_t>(prediction.label) >= labels.size()) {
    throw ShapeError(fmt::format("prediction: label {} and {} scores for {} labels", prediction.label,
                                 prediction.scores.size(), labels.size()));
  }
  std::string scores;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (!std::isfinite(prediction.scores[i])) {
      throw ValueError(fmt::format("prediction: score {} of label '{}' is not finite; check the model's weights",
                                   prediction.scores[i], labels[i]));
    }
    // fmt writes a float's shortest exact form, which is also JSON.
    scores += fmt::format("{}{}:{}", i == 0 ? "" : ",", json_quoted(labels[i]), prediction.scores[i]);
  }
  const auto label = static_cast<std::size_t>(prediction.label);
  return fmt::format(R"({{"label":{},"score":{},"scores":{{{}}},"truncated":{}}})", json_quoted(labels[label]),
                     prediction.scores[label], scores, prediction.truncated);
}

HttpResponse predictions_response(const Model& model, const std::vector<nn::Prediction>& predictions) {
  std::string body =
      fmt::format(R"({{"model":{},"version":"{}","predictions":[)", json_quoted(model.name), model.version);
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    if (i > 0) body += ',';
    body += prediction_json(predictions[i], model.classifier->labels());
  }
  return {200, body + "]}", {}};
}

HttpResponse internal_error(std::string_view type) {
  // An exception's text may quote the user's: the log gets its type only.
  log_line("error", "predict_failed", {{"error", std::string(type)}});
  return error_response(500, "internal", "the model failed on this request; the server's log says more");
}

HttpResponse failure(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
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

HttpResponse result_response(const Model& model, const BatchResult& result, const Limits& limits) {
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
    return predictions_response(model, result.predictions);
  } catch (...) {
    return failure(std::current_exception());
  }
}

HttpResponse bad_field(std::string_view why) { return error_response(422, "unacceptable_field", why); }

}  // namespace

PredictRequest parse_predict(const std::string& body, const Limits& limits) {
  PredictRequest request;
  const auto refuse = [&request](HttpResponse response) {
    request.refusal = std::move(response);
    return std::move(request);
  };
  json::parse_options options;
  options.max_depth = limits.json_depth;
  boost::system::error_code error;
  const json::value parsed = json::parse(body, error, json::storage_ptr(), options);
  if (error) {
    return refuse(error_response(400, "malformed_json", "body: not JSON in UTF-8 (" + error.message() + ")"));
  }
  const json::object* object = parsed.if_object();
  if (object == nullptr) return refuse(bad_field(R"(body: must be an object such as {"texts": ["..."]})"));
  for (const auto& member : *object) {
    if (member.key() != "texts" && member.key() != "text") {
      return refuse(bad_field("body: holds a field that is neither texts nor text; leave it out"));
    }
  }
  const json::value* one = object->if_contains("text");
  const json::value* many = object->if_contains("texts");
  if ((one == nullptr) == (many == nullptr)) {
    return refuse(bad_field("texts: give either texts, a list of strings, or text, a string"));
  }
  if (many != nullptr && !many->is_array()) return refuse(bad_field("texts: must be a list of strings"));
  const std::size_t count = many != nullptr ? many->get_array().size() : 1;
  if (count > limits.texts) {
    return refuse(bad_field(fmt::format("texts: {} exceed the limit of {} in a request; send several requests", count,
                                        limits.texts)));
  }
  for (std::size_t i = 0; i < count; ++i) {
    const json::value& value = many != nullptr ? many->get_array()[i] : *one;
    const std::string field = many != nullptr ? fmt::format("texts[{}]", i) : std::string("text");
    const json::string* text = value.if_string();
    if (text == nullptr) return refuse(bad_field(field + ": must be a string"));
    if (text->size() > limits.text_bytes) {
      return refuse(bad_field(fmt::format("{}: {} bytes exceed the limit of {} of one text; shorten or split it", field,
                                          text->size(), limits.text_bytes)));
    }
    request.texts.emplace_back(text->data(), text->size());
  }
  return request;
}

Api::Api(std::shared_ptr<Registry> registry, Batcher& batcher, std::optional<ApiKeys> keys, const Limits& limits)
    : registry_(std::move(registry)), batcher_(batcher), keys_(std::move(keys)), limits_(limits) {}

bool Api::authorized(const HttpHead& head) const {
  if (!keys_) return true;
  constexpr std::string_view kBearer = "bearer ";
  std::string_view key = head.api_key;
  if (lower(head.authorization.substr(0, kBearer.size())) == kBearer) {
    key = std::string_view(head.authorization).substr(kBearer.size());
    while (!key.empty() && key.front() == ' ') key.remove_prefix(1);
  }
  return keys_->accepts(key);
}

bool Api::ready() const { return !draining_ && registry_->ready(); }

Routed Api::route(const HttpHead& head) {
  const std::string_view path = head.path;
  if (path == "/health/live") {
    return is_read(head) ? health("/health/live", true) : not_allowed("/health/live", "GET, HEAD");
  }
  if (path == "/health/ready") {
    return is_read(head) ? health("/health/ready", ready()) : not_allowed("/health/ready", "GET, HEAD");
  }
  const bool below_v1 = path == "/v1" || path.substr(0, 4) == "/v1/";
  if (below_v1 && !authorized(head)) {
    HttpResponse response = error_response(401, "unauthorized",
                                           "no valid API key; send Authorization: Bearer KEY, or X-API-Key: KEY");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return refused("/v1", std::move(response));
  }
  if (path.substr(0, kModels.size()) == kModels) return models(head);
  return refused("unknown", error_response(404, "unknown_route", "no such route; the models are at /v1/models"));
}

Routed Api::health(std::string_view name, bool healthy) const {
  if (healthy) return answer(name, {200, R"({"status":"ok"})", {}});
  return answer(name, draining_ ? unavailable("draining", "the server is stopping", limits_.retry_after_seconds)
                                : unavailable("loading", "no model is loaded yet", limits_.retry_after_seconds));
}

Routed Api::models(const HttpHead& head) {
  std::string_view rest = std::string_view(head.path).substr(kModels.size());
  if (rest.empty()) {
    if (!is_read(head)) return not_allowed("/v1/models", "GET, HEAD");
    std::string list;
    for (const Model& model : registry_->list()) list += (list.empty() ? "" : ",") + model_json(model);
    return answer("/v1/models", {200, R"({"models":[)" + list + "]}", {}});
  }
  const Routed unknown =
      refused("unknown", error_response(404, "unknown_route", "no such route; the models are at /v1/models"));
  if (rest.front() != '/') return unknown;
  rest.remove_prefix(1);
  const std::size_t slash = rest.find('/');
  const std::string_view action = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
  if (!action.empty() && action != "/predict") return unknown;
  const bool predicts = !action.empty();
  const std::string_view pattern = predicts ? "/v1/models/{name}/predict" : "/v1/models/{name}";
  if (!predicts && !is_read(head)) return not_allowed(pattern, "GET, HEAD");
  if (predicts && head.method != "POST") return not_allowed(pattern, "POST");
  std::optional<Model> model = registry_->find(rest.substr(0, slash));
  if (!model && !registry_->ready()) {
    return refused(pattern, unavailable("loading", "no model is loaded yet", limits_.retry_after_seconds));
  }
  if (!model) {
    // Only what could be a name is repeated: anything else may be long or strange.
    const std::string_view name = rest.substr(0, slash);
    const std::string which = Registry::valid_name(name) ? "named '" + std::string(name) + "'" : "of this name";
    return refused(pattern, error_response(404, "unknown_model", "no model " + which + "; GET /v1/models lists them"));
  }
  return predicts ? predict(head, std::move(*model)) : answer(pattern, {200, model_json(*model), {}});
}

Routed Api::predict(const HttpHead& head, Model model) {
  constexpr std::string_view kPattern = "/v1/models/{name}/predict";
  if (!head.has_length) {
    return refused(kPattern, error_response(411, "length_required", "send Content-Length, or a chunked body"));
  }
  if (!is_json(head.content_type)) {
    return refused(kPattern, error_response(415, "unsupported_media_type", "send Content-Type: application/json"));
  }
  return {kPattern, std::nullopt, [this, model = std::move(model)](const std::string& body, Routed::Reply reply) {
            run_predict(model, body, std::move(reply));
          }};
}

void Api::run_predict(const Model& model, const std::string& body, Routed::Reply reply) {
  PredictRequest request = parse_predict(body, limits_);
  if (request.refusal) return reply(std::move(*request.refusal));
  const auto deadline = Batcher::Clock::now() + limits_.predict_time;
  const bool queued = batcher_.submit(model.classifier, std::move(request.texts), deadline,
                                      [model, reply, limits = limits_](const BatchResult& result) {
                                        reply(result_response(model, result, limits));
                                      });
  if (!queued) {
    reply(unavailable("queue_full", fmt::format("limit of {} waiting texts reached; try again later",
                                                limits_.queue_texts), limits_.retry_after_seconds));
  }
}

}  // namespace qing::serve
