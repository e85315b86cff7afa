#include <qing/nn/unique_keys.h>

#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <cstdint>
#include <set>
#include <vector>

#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

// Receives the parse events and remembers the first name that appears twice in one object.
struct UniqueKeys {
  static constexpr size_t max_object_size = json::object::max_size();
  static constexpr size_t max_array_size = json::array::max_size();
  static constexpr size_t max_key_size = json::string::max_size();
  static constexpr size_t max_string_size = json::string::max_size();
  std::vector<std::set<std::string>> open;
  std::string key, duplicate;
  bool unique = true;

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    open.emplace_back();
    return true;
  }
  bool on_object_end(size_t, json::error_code&) {
    open.pop_back();
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(size_t, json::error_code&) { return true; }
  bool on_key_part(json::string_view part, size_t, json::error_code&) {
    key.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, size_t, json::error_code&) {
    key.append(part.data(), part.size());
    if (!open.back().insert(key).second && unique) {
      unique = false;
      duplicate = key;
    }
    key.clear();
    return true;
  }
  bool on_string_part(json::string_view, size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, size_t, json::error_code&) { return true; }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(int64_t, json::string_view, json::error_code&) { return true; }
  bool on_uint64(uint64_t, json::string_view, json::error_code&) { return true; }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
};

// Counts the members in a valid JSON text: the colons outside strings.
size_t members_written(std::string_view text) {
  size_t count = 0;
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') inside = !inside;
    if (inside && text[i] == '\\') ++i;
    if (!inside && text[i] == ':') ++count;
  }
  return count;
}

size_t members_of(const json::value& value) {
  size_t count = 0;
  if (const json::object* object = value.if_object()) {
    count = object->size();
    for (const auto& member : *object) count += members_of(member.value());
  } else if (const json::array* list = value.if_array()) {
    for (const json::value& element : *list) count += members_of(element);
  }
  return count;
}

}  // namespace

std::optional<std::string> duplicate_key(std::string_view text) {
  json::basic_parser<UniqueKeys> parser{json::parse_options{}};
  json::error_code error;
  parser.write_some(false, text.data(), text.size(), error);
  if (parser.handler().unique) return std::nullopt;
  return parser.handler().duplicate;
}

bool repeats_a_key(std::string_view text, const json::value& parsed) {
  return members_of(parsed) != members_written(text);
}

json::value parse_file_json(std::string_view text) {
  text = without_byte_order_mark(text);
  json::error_code error;
  // A vocabulary's hundred thousand nodes are made and freed together.
  json::value value = json::parse(text, error, json::make_shared_resource<json::monotonic_resource>());
  if (error) throw DataError("is not JSON: " + error.message());
  if (repeats_a_key(text, value)) {
    throw DataError("the name '" + duplicate_key(text).value_or("") + "' appears twice in one object; leave one out");
  }
  return value;
}

json::value read_json_file(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  try {
    return parse_file_json(text);
  } catch (const DataError& error) { throw DataError(path.string() + ": " + error.what()); }
}

}  // namespace qing::nn
