#include "v2_tensors.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include <qing/nn/utf8.h>
#include <qing/serve/protocols/answers_json.h>
#include <qing/serve/protocols/explanation_json.h>
#include <qing/serve/protocols/json_body.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kExplanation = "explanation";  // which must be requested

static_assert(std::endian::native == std::endian::little, "binary parts are little-endian and are copied as they lie");

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

void append_number(std::string& out, const auto& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_bytes(std::string& out, std::string_view text) {
  append_number(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

[[noreturn]] void malformed(std::string_view why) { throw Refusal(error_response(400, "malformed_body", why)); }

// Each element is a length of 4 bytes and a text of that many bytes of UTF-8.
std::vector<std::string> read_bytes(std::string_view part, const Limits& limits) {
  std::vector<std::string> texts;
  while (!part.empty()) {
    const std::string field = fmt::format("inputs[0].data[{}]", texts.size());
    if (part.size() < 4) malformed(field + ": ends within its length of 4 bytes");
    const std::uint32_t length = little_endian(part);
    part.remove_prefix(4);
    if (length > part.size()) malformed(fmt::format("{}: of {} bytes, {} are there", field, length, part.size()));
    if (length > limits.text_bytes) {
      refuse_field(fmt::format("{}: {} bytes exceed the limit of {} of one text; shorten or split it", field, length,
                               limits.text_bytes));
    }
    if (nn::find_invalid_utf8(part.substr(0, length))) refuse_field(field + ": not UTF-8; encode texts as UTF-8");
    texts.emplace_back(part.substr(0, length));
    part.remove_prefix(length);
    check_count(texts.size(), "inputs[0]", limits);
  }
  return texts;
}

// Tensors may be flat or nested, in row-major order.
void flatten(const json::value& value, std::string_view field, const Limits& limits, std::vector<std::string>& texts) {
  if (!value.is_array()) return texts.push_back(text_of(value, field, limits));
  const json::array& list = value.get_array();
  for (size_t i = 0; i < list.size(); ++i) flatten(list[i], fmt::format("{}[{}]", field, i), limits, texts);
  check_count(texts.size(), "inputs[0].data", limits);
}

std::uint64_t count_of(const json::object& input, const Limits& limits) {
  const json::value* shape = member(input, "shape");
  if (shape == nullptr || !shape->is_array() || shape->get_array().empty() || shape->get_array().size() > 2) {
    refuse_field("inputs[0].shape: must be [texts] or [texts, 1]");
  }
  std::uint64_t count = 1;
  for (const json::value& value : shape->get_array()) {
    const auto size = integer_of(value);
    if (!size || *size < 0 || (&value != &shape->get_array().front() && *size != 1)) {
      refuse_field("inputs[0].shape: must be [texts] or [texts, 1]");
    }
    if (static_cast<std::uint64_t>(*size) > limits.texts) check_count(static_cast<size_t>(*size), "inputs[0]", limits);
    count *= static_cast<std::uint64_t>(*size);
  }
  return count;
}

const json::object* parameters_of(const json::object& object, std::string_view field) {
  const json::value* parameters = member(object, "parameters");
  if (parameters == nullptr) return nullptr;
  if (!parameters->is_object()) refuse_field(fmt::format("{}: must be an object", field));
  return &parameters->get_object();
}

// MLServer's clients send the type of a tensor: "str" of texts, which are UTF-8, and "np" of numbers.
void check_content_type(const json::object* parameters, std::string_view field, const nn::TaskModel& model) {
  const json::value* type = parameters == nullptr ? nullptr : member(*parameters, "content_type");
  const std::string_view wanted = model.inputs().front().datatype == "BYTES" ? "str" : "np";
  if (type != nullptr && *type != json::string_view(wanted))
    refuse_field(fmt::format("{}.content_type: must be {}", field, wanted));
}

bool parameter(const json::object* parameters, std::string_view name) {
  return parameters != nullptr && flag_of(*parameters, "parameters", name, false);
}

// The one tensor, and that it has its data in one form.
void check_input(const json::object& request, std::string_view rest, const nn::TaskModel& model) {
  const json::value* inputs = member(request, "inputs");
  if (inputs == nullptr || !inputs->is_array() || inputs->get_array().size() != 1 ||
      !inputs->get_array().front().is_object()) {
    refuse_field("inputs: must be a list of one tensor");
  }
  const json::object& input = inputs->get_array().front().get_object();
  check_members(input, "inputs[0]", {"name", "shape", "datatype", "parameters", "data"});
  const json::value* name = member(input, "name");
  if (name == nullptr || !name->is_string()) refuse_field("inputs[0].name: must be a string");
  const json::object* parameters = parameters_of(input, "inputs[0].parameters");
  if (parameters != nullptr) check_members(*parameters, "inputs[0].parameters", {"binary_data_size", "content_type"});
  check_content_type(parameters, "inputs[0].parameters", model);
  const json::value* size = parameters == nullptr ? nullptr : member(*parameters, "binary_data_size");
  const json::value* data = member(input, "data");
  if (size != nullptr) {
    if (data != nullptr) refuse_field("inputs[0].data: leave it out beside binary_data_size; data come in one form");
    if (!size->is_int64() || size->get_int64() < 0 || static_cast<std::uint64_t>(size->get_int64()) != rest.size()) {
      malformed(fmt::format("inputs[0].parameters.binary_data_size: {} bytes follow the JSON; say so", rest.size()));
    }
  } else {
    if (!rest.empty())
      malformed(fmt::format("body: {} bytes follow the JSON and no input has binary_data_size", rest.size()));
    if (data == nullptr || !data->is_array()) refuse_field("inputs[0].data: must be a list");
  }
}

std::vector<std::string> read_texts(const json::object& input, std::string_view rest, const Limits& limits) {
  const json::value* type = member(input, "datatype");
  if (type == nullptr || !type->is_string() || type->get_string() != "BYTES") {
    refuse_field("inputs[0].datatype: must be BYTES");
  }
  const std::uint64_t count = count_of(input, limits);
  std::vector<std::string> texts;
  if (const json::value* data = member(input, "data")) {
    flatten(*data, "inputs[0].data", limits, texts);
  } else {
    texts = read_bytes(rest, limits);
  }
  if (texts.size() != count) {
    refuse_field(fmt::format("inputs[0].shape: of {} texts, but data has {}", count, texts.size()));
  }
  return texts;
}

// Text classifiers explain, too.
bool explains(const nn::TaskModel& model) { return model.task() == nn::kClassification; }

// The names of the outputs, with that of the explanation.
std::vector<std::string> output_names(const nn::TaskModel& model) {
  std::vector<std::string> names;
  for (const nn::TensorDescription& tensor : model.outputs()) names.push_back(tensor.name);
  if (explains(model)) names.emplace_back(kExplanation);
  return names;
}

std::vector<V2Output> read_outputs(const json::object& request, const nn::TaskModel& model, bool binary, bool explain) {
  const std::vector<std::string> names = output_names(model);
  std::vector<V2Output> outputs;
  const json::value* list = member(request, "outputs");
  if (list == nullptr || (list->is_array() && list->get_array().empty())) {
    for (const std::string& name : names) {
      if (explain || name != kExplanation) outputs.push_back({name, binary});
    }
    return outputs;
  }
  if (!list->is_array()) refuse_field("outputs: must be a list");
  for (const json::value& value : list->get_array()) {
    const std::string field = fmt::format("outputs[{}]", outputs.size());
    const json::object* output = value.if_object();
    const json::value* name = output == nullptr ? nullptr : member(*output, "name");
    if (name == nullptr || !name->is_string()) refuse_field(field + ".name: must be a string");
    const std::string text(name->get_string().data(), name->get_string().size());
    const auto known = std::ranges::find(names, text);
    const bool again = std::ranges::find(outputs, text, &V2Output::name) != outputs.end();
    if (known == names.end() || again) {
      refuse_field(fmt::format("{}.name: must be one of {}, each once", field, fmt::join(names, ", ")));
    }
    if (text == kExplanation && !explain) {
      refuse_field(field + R"(.name: an explanation needs "parameters": {"explain": true})");
    }
    check_members(*output, field, {"name", "parameters"});
    const json::object* parameters = parameters_of(*output, field + ".parameters");
    for (const char* extension : {"classification", "shared_memory_region"}) {
      if (parameters != nullptr && member(*parameters, extension) != nullptr) {
        refuse_field(
            fmt::format("{}.parameters.{}: this server does not have that extension; leave it out", field, extension));
      }
    }
    if (parameters != nullptr) check_members(*parameters, field + ".parameters", {"binary_data"});
    outputs.push_back(
        {text, parameters != nullptr ? flag_of(*parameters, field + ".parameters", "binary_data", binary) : binary});
  }
  return outputs;
}

V2Column column_of(const std::string& name, const Answer& answer) {
  V2Column column{.is_text = name == "label" || name == "labels" || name == kExplanation};
  for (size_t i = 0; i < answer.predictions.size(); ++i) {
    const nn::Prediction& p = answer.predictions[i];
    const auto label = static_cast<size_t>(p.label);
    if (name == "label") column.texts.push_back(answer.labels()[label]);
    if (name == "labels") column.texts.push_back(labels_json(answer.labels(), p.labels));
    if (name == "value") column.numbers.push_back(static_cast<float>(p.value));
    if (name == kExplanation)
      column.texts.push_back(explanation_json(answer.explanations[i], answer.texts[i], answer.labels()));
    if (name == "score") column.numbers.push_back(p.scores[label]);
    if (name == "scores") column.numbers.insert(column.numbers.end(), p.scores.begin(), p.scores.end());
    if (name == "logits") column.numbers.insert(column.numbers.end(), p.logits.begin(), p.logits.end());
  }
  if (name == "scores" || name == "logits") column.width = answer.labels().size();
  return column;
}

}  // namespace

void write_v2_signature(JsonWriter& json, const nn::TaskModel& model) {
  const auto write = [&json](std::string_view name, const std::vector<nn::TensorDescription>& tensors) {
    json.key(name).begin_array();
    for (const nn::TensorDescription& tensor : tensors) {
      json.begin_object().member("name", tensor.name).member("datatype", tensor.datatype);
      json.member("shape", tensor.shape).end();
    }
    json.end();
  };
  write("inputs", model.inputs());
  write("outputs", model.outputs());
}

std::optional<size_t> v2_header_length(const HttpHead& head) {
  const std::string_view text = head.header("Inference-Header-Content-Length");
  if (text.empty()) return std::nullopt;
  size_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Refusal(error_response(400, "malformed_header", "Inference-Header-Content-Length: not a plain number"));
  }
  return length;
}

const json::object& V2Body::input() const {
  return member(parsed.get_object(), "inputs")->get_array().front().get_object();
}

V2Body read_v2_body(std::string_view body, std::optional<size_t> header_length, const nn::TaskModel& model,
                    const Limits& limits, std::span<const std::string_view> own) {
  const size_t length = header_length.value_or(body.size());
  if (length > body.size()) malformed(fmt::format("Inference-Header-Content-Length: {} exceeds the body", length));
  V2Body result;
  result.parsed = parse_json(body.substr(0, length), limits);
  result.rest = body.substr(length);
  V2Request& request = result.request;
  const json::object& object = as_object(result.parsed, R"({"inputs": [...]})");
  // KServe's clients send model_name although the address names the model.
  check_members(object, "", {"id", "parameters", "inputs", "outputs", "model_name"});
  if (const json::value* id = member(object, "id")) {
    if (!id->is_string()) refuse_field("id: must be a string");
    request.id.assign(id->get_string().data(), id->get_string().size());
  }
  const json::object* parameters = parameters_of(object, "parameters");
  if (parameters != nullptr && explains(model)) {
    check_members(*parameters, "parameters", {"explain", "binary_data_output", "content_type"});
  } else if (parameters != nullptr) {
    json::object others = *parameters;
    for (const std::string_view name : own) {
      if (const json::value* value = member(others, name)) request.parameters.emplace(name, *value);
      others.erase(name);
    }
    check_members(others, "parameters", {"binary_data_output", "content_type"});
  }
  check_content_type(parameters, "parameters", model);
  request.explain = parameter(parameters, "explain");
  request.outputs = read_outputs(object, model, parameter(parameters, "binary_data_output"), request.explain);
  check_input(object, result.rest, model);
  return result;
}

V2Request read_v2(std::string_view body, std::optional<size_t> header_length, const nn::TaskModel& model,
                  const Limits& limits, std::span<const std::string_view> own) {
  V2Body read = read_v2_body(body, header_length, model, limits, own);
  read.request.texts = read_texts(read.input(), read.rest, limits);
  return std::move(read.request);
}

HttpResponse write_v2(const V2Request& request, const Answer& answer) {
  return write_v2(request, answer.model, answer.predictions.size(),
                  [&](const std::string& name) { return column_of(name, answer); });
}

HttpResponse write_v2(const V2Request& request, const Model& model, size_t rows,
                      const std::function<V2Column(const std::string& name)>& column_named) {
  JsonWriter json;
  json.begin_object().member("model_name", model.name);
  json.member("model_version", std::to_string(model.version));
  if (!request.id.empty()) json.member("id", request.id);
  json.key("outputs").begin_array();
  std::string parts;
  bool binary = false;
  for (const V2Output& output : request.outputs) {
    const V2Column column = column_named(output.name);
    std::vector<size_t> shape = {rows};
    if (column.width != 0) shape.push_back(column.width);
    json.begin_object().member("name", output.name).member("datatype", column.is_text ? "BYTES" : "FP32");
    json.member("shape", shape);
    if (output.binary) {
      const size_t before = parts.size();
      for (const std::string& text : column.texts) append_bytes(parts, text);
      for (const float number : column.numbers) append_number(parts, number);
      json.key("parameters").begin_object().member("binary_data_size", parts.size() - before).end();
      binary = true;
    } else if (column.is_text) {
      json.member("data", column.texts);
    } else {
      json.member("data", column.numbers);
    }
    json.end();
  }
  json.end().end();
  std::string header = json.take();
  if (!binary) return {200, std::move(header), {}};
  HttpResponse response{
      200, {}, {{"Inference-Header-Content-Length", std::to_string(header.size())}}, "application/octet-stream"};
  response.body = std::move(header) + parts;
  return response;
}

}  // namespace qing::serve::protocols
