#include "json_object_file.h"

#include <fmt/format.h>

#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace json = boost::json;

json::object read_object_file(const std::filesystem::path& file) {
  boost::system::error_code error;
  const json::value parsed = json::parse(read_file(file), error);
  if (error || !parsed.is_object()) throw DataError(fmt::format("{}: is no JSON object", file.string()));
  return parsed.get_object();
}

std::string text_member_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace qing::serve
