#include <qing/serve/cli/answer_text.h>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include <qing/nn/unique_keys.h>
#include <qing/serve/common/json_text.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace json = boost::json;

json::object object_of(std::string_view command, const std::string& answer) {
  try {
    return nn::parse_file_json(answer).as_object();
  } catch (const std::exception&) {
    throw IoError(fmt::format("{}: the answer is not a JSON object; check that a qing service runs there", command));
  }
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return "-";
  return value->is_string() ? std::string(value->get_string()) : json_text(*value);
}

std::string moment_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_int64()) return "-";
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(value->get_int64())));
}

}  // namespace qing::serve::cli
