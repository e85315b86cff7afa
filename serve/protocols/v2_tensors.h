// Tensors of the Open Inference Protocol V2: requests for texts, as JSON or with binary parts, and the outputs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/limits.h>
#include <qing/serve/http/message.h>
#include <qing/serve/service/service.h>

namespace qing::serve::protocols {

struct V2Output {
  std::string name;
  bool binary = false;
};

struct V2Request {
  std::string id;  ///< echoed; empty: none
  std::vector<std::string> texts;
  bool explain = false;                 ///< parameters.explain
  std::vector<V2Output> outputs;        ///< as asked for; all when the request names none
  boost::json::object parameters = {};  ///< those of the task's own that the request has
};

/// A request whose one tensor the caller reads.
struct V2Body {
  boost::json::value parsed;
  V2Request request;      ///< without texts
  std::string_view rest;  ///< the binary part of the tensor, if it has no "data"
  /// The one element of "inputs".
  const boost::json::object& input() const;
};
/// Reads what requests for all models have in common: the length of the binary part, the id, the outputs, and that
/// there is one tensor with a name and either "data" or a binary part. `body` outlives the result. `own` are the
/// parameters of a request that its task reads itself. Refusal: 400 when the parts do not add up, 422 with the field's
/// name.
V2Body read_v2_body(std::string_view body, std::optional<size_t> header_length, const nn::TaskModel& model,
                    const Limits& limits, std::span<const std::string_view> own = {});

/// Writes what a model takes and gives: the members "inputs" and "outputs" of its metadata. A model of embeddings
/// has no outputs in this protocol.
void write_v2_signature(JsonWriter& json, const nn::TaskModel& model);
/// Reads a body whose first `header_length` bytes (all of them without one) are JSON and whose rest are the binary
/// parts of the inputs in their order. The one input is BYTES, a text an element. The outputs are those of the model,
/// and an explanation if it is a text classifier. `own` as above. Refusal: 400 when the parts do not add up, 422 with
/// the field's name.
V2Request read_v2(std::string_view body, std::optional<size_t> header_length, const nn::TaskModel& model,
                  const Limits& limits, std::span<const std::string_view> own = {});
/// The length of the JSON in front of binary parts, as the header says it. Refusal with 400 for another value.
std::optional<size_t> v2_header_length(const HttpHead& head);

/// An output: texts, or numbers with `width` a row.
struct V2Column {
  bool is_text = true;
  std::vector<std::string> texts = {};
  std::vector<float> numbers = {};
  size_t width = 0;  ///< 0: one a row, and the shape has no second dimension
};
/// The response: application/json, or JSON with binary parts behind it and Inference-Header-Content-Length. `column`
/// gives an output by its name, with `rows` rows.
HttpResponse write_v2(const V2Request& request, const Model& model, size_t rows,
                      const std::function<V2Column(const std::string& name)>& column);
/// The response of a text classifier.
HttpResponse write_v2(const V2Request& request, const Answer& answer);

}  // namespace qing::serve::protocols
