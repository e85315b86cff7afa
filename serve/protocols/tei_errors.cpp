#include "tei_errors.h"

#include <optional>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/protocols/json_body.h>

namespace qing::serve::protocols {

HttpResponse tei_error(HttpResponse response) {
  const std::optional<ErrorText> error = error_of(response);
  if (!error) return response;
  JsonWriter json;
  json.begin_object().member("error", error->message).member("code", error->code);
  json.member("error_type", response.status == 503 || response.status == 429 ? "overloaded"
                            : response.status >= 500                         ? "backend"
                                                                             : "validation");
  json.end();
  response.body = json.take();
  return response;
}

// A response before the route is known, such as 413, has no error_type.
constexpr ErrorForm kTeiErrors = {
    "TextEmbeddingsInferenceError",
    R"({"type":"object","required":["error","code"],"properties":{"error":{"type":"string"},"code":{"type":"string"},)"
    R"("error_type":{"enum":["validation","overloaded","backend"]}}})",
    tei_error};

}  // namespace qing::serve::protocols
