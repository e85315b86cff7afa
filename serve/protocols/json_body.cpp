#include "json_body.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <boost/json/parse.hpp>

#include <qing/nn/unique_keys.h>
#include <qing/serve/common/characters.h>
#include <qing/serve/http/router.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

// Whether a refusal may repeat a field's name. A name from a client can have any bytes and any length.
bool can_be_repeated(std::string_view name) {
  constexpr size_t kMost = 64;
  return !name.empty() && name.size() <= kMost && has_only(name, is_alphanumeric, "_-.");
}

// A member's path in the body, such as "parameters.explain".
std::string path_of(std::string_view place, std::string_view name) {
  return fmt::format("{}{}{}", place, place.empty() ? "" : ".", name);
}

}  // namespace

json::value parse_json(std::string_view body, const Limits& limits) {
  json::parse_options options;
  options.max_depth = limits.json_depth;
  boost::system::error_code error;
  json::value parsed = json::parse(json::string_view(body.data(), body.size()), error, json::storage_ptr(), options);
  if (error) {
    throw Refusal(error_response(400, "malformed_json", "body: not JSON in UTF-8 (" + error.message() + ")"));
  }
  // Of members with one name the parser keeps the last. Which one was meant is unknown (RFC 7493, 2.3).
  if (nn::repeats_a_key(body, parsed)) {
    throw Refusal(error_response(400, "malformed_json", "body: an object has two members of one name; leave one out"));
  }
  return parsed;
}

void refuse_field(std::string_view why) { throw Refusal(error_response(422, "unacceptable_field", why)); }

const json::object& as_object(const json::value& body, std::string_view example) {
  const json::object* object = body.if_object();
  if (object == nullptr) refuse_field(fmt::format("body: must be an object such as {}", example));
  return *object;
}

const json::value* member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value == nullptr || value->is_null() ? nullptr : value;
}

void check_members(const json::object& object, std::string_view place, std::span<const std::string_view> known) {
  for (const auto& entry : object) {
    const std::string_view name(entry.key().data(), entry.key().size());
    if (entry.value().is_null() || std::ranges::find(known, name) != known.end()) continue;
    const std::string taken = known.empty() ? "it takes none" : fmt::format("it takes {}", fmt::join(known, ", "));
    if (!can_be_repeated(name)) {
      refuse_field(
          fmt::format("{}: has a field that this route does not take; {}", place.empty() ? "body" : place, taken));
    }
    refuse_field(fmt::format("{}: this route does not take it; {}", path_of(place, name), taken));
  }
}

std::string text_of(const json::value& value, std::string_view field, const Limits& limits) {
  const json::string* text = value.if_string();
  if (text == nullptr) refuse_field(fmt::format("{}: must be a string", field));
  if (text->size() > limits.text_bytes) {
    refuse_field(fmt::format("{}: {} bytes exceed the limit of {} of one text; shorten or split it", field,
                             text->size(), limits.text_bytes));
  }
  return {text->data(), text->size()};
}

void check_count(size_t count, std::string_view field, const Limits& limits) {
  if (count <= limits.texts) return;
  refuse_field(
      fmt::format("{}: {} exceed the limit of {} in a request; send several requests", field, count, limits.texts));
}

std::vector<std::string> texts_of(const json::value& value, std::string_view field, const Limits& limits) {
  const json::array* list = value.if_array();
  if (list == nullptr) refuse_field(fmt::format("{}: must be a list of strings", field));
  check_count(list->size(), field, limits);
  std::vector<std::string> texts;
  texts.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    texts.push_back(text_of((*list)[i], fmt::format("{}[{}]", field, i), limits));
  }
  return texts;
}

std::optional<std::int64_t> integer_of(const json::value& value) {
  if (const std::int64_t* number = value.if_int64()) return *number;
  const double* real = value.if_double();
  constexpr double kExact = 1LL << 53;  // above it not every integer is a double
  if (real == nullptr || std::trunc(*real) != *real || std::abs(*real) > kExact) return std::nullopt;
  return static_cast<std::int64_t>(*real);
}

bool flag_of(const json::object& object, std::string_view place, std::string_view name, bool missing) {
  const json::value* value = member(object, name);
  if (value == nullptr) return missing;
  if (!value->is_bool()) refuse_field(fmt::format("{}: must be true or false", path_of(place, name)));
  return value->get_bool();
}

std::optional<ErrorText> error_of(const HttpResponse& response) {
  if (response.status < 400) return std::nullopt;
  boost::system::error_code failed;
  const json::value body = json::parse(response.body, failed);
  const json::object* object = failed ? nullptr : body.if_object();
  const json::value* message = object == nullptr ? nullptr : object->if_contains("error");
  const json::value* code = object == nullptr ? nullptr : object->if_contains("code");
  if (message == nullptr || code == nullptr || !message->is_string() || !code->is_string()) return std::nullopt;
  return ErrorText{std::string(message->get_string()), std::string(code->get_string())};
}

}  // namespace qing::serve::protocols
