// The native routes and their JSON.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/api_keys.h>
#include <qing/serve/batcher.h>
#include <qing/serve/http_message.h>
#include <qing/serve/limits.h>
#include <qing/serve/registry.h>

namespace qing::serve {

/// What a predict body asks for, or the refusal it earned: 400 malformed, 422 not acceptable (which field, why).
struct PredictRequest {
  std::vector<std::string> texts;
  std::optional<HttpResponse> refusal;
};
/// Reads {"texts": ["...", ...]} or {"text": "..."}; strict JSON and UTF-8.
PredictRequest parse_predict(const std::string& body, const Limits& limits);

/// Routes:
///   GET  /health/live            200 while the process answers
///   GET  /health/ready           200 when there is a model and the server does not drain, else 503
///   GET  /v1/models              all models
///   GET  /v1/models/{name}       one model: labels, versions
///   POST /v1/models/{name}/predict
/// Those below /v1 ask for a key when there are keys.
class Api : public HttpHandler {
 public:
  /// `batcher` must outlive the Api. Without `keys` every request is let in.
  Api(std::shared_ptr<Registry> registry, Batcher& batcher, std::optional<ApiKeys> keys, const Limits& limits);

  Routed route(const HttpHead& head) override;
  /// From now on /health/ready is 503.
  void begin_drain() { draining_ = true; }

 private:
  bool authorized(const HttpHead& head) const;
  bool ready() const;
  Routed health(std::string_view name, bool healthy) const;
  Routed models(const HttpHead& head);
  Routed predict(const HttpHead& head, Model model);
  void run_predict(const Model& model, const std::string& body, Routed::Reply reply);

  std::shared_ptr<Registry> registry_;
  Batcher& batcher_;
  const std::optional<ApiKeys> keys_;
  const Limits limits_;
  std::atomic<bool> draining_ = false;
};

}  // namespace qing::serve
