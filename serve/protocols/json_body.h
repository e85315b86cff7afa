// Strict parsing of JSON bodies within the limits. Every refusal names the field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include <qing/serve/common/limits.h>
#include <qing/serve/http/message.h>

namespace qing::serve::protocols {

/// Refusal with 400 unless the body is JSON in UTF-8, within limits.json_depth, without two members of one name.
boost::json::value parse_json(std::string_view body, const Limits& limits);
/// Refusal with 422; `why` begins with the field's name.
[[noreturn]] void refuse_field(std::string_view why);
/// The body as an object. Refusal with 422, which shows `example`.
const boost::json::object& as_object(const boost::json::value& body, std::string_view example);
/// A member of an object; null if it is absent or null. Every protocol treats a null member as absent.
const boost::json::value* member(const boost::json::object& object, std::string_view name);
/// Refusal with 422 that names the first member which is neither null nor `known`: what a route does not honour it must
/// not ignore. `place` is the path of the object in the body, such as "parameters"; empty for the body itself.
void check_members(const boost::json::object& object, std::string_view place, std::span<const std::string_view> known);
inline void check_members(const boost::json::object& object, std::string_view place,
                          std::initializer_list<std::string_view> known) {
  check_members(object, place, std::span(known.begin(), known.size()));
}
/// A text within the limits. Refusal with 422 that names the field.
std::string text_of(const boost::json::value& value, std::string_view field, const Limits& limits);
/// Refusal with 422 when a request has more texts than the limit.
void check_count(size_t count, std::string_view field, const Limits& limits);
/// A list of texts within the limits.
std::vector<std::string> texts_of(const boost::json::value& value, std::string_view field, const Limits& limits);
/// A number without a fraction, however it is written (1, 1.0, 1e0: JSON has one kind of number); nothing for another.
std::optional<std::int64_t> integer_of(const boost::json::value& value);
/// A member that is true or false; `missing` when it is absent or null. `place` is as in check_members().
bool flag_of(const boost::json::object& object, std::string_view place, std::string_view name, bool missing);

/// The parts of an error in the service's own form.
struct ErrorText {
  std::string message, code;
};
/// Nothing for a response that is no such error.
std::optional<ErrorText> error_of(const HttpResponse& response);

}  // namespace qing::serve::protocols
