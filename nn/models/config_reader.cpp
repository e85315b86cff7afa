#include <qing/nn/models/config_reader.h>

#include <fmt/format.h>

#include <qing/nn/models/version_folders.h>
#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {

namespace json = boost::json;

ConfigReader::ConfigReader(const std::filesystem::path& path) : path_(path) {
  if (!is_there(path)) refuse_folder_of_versions(path.parent_path());
  const json::value value = read_json_file(path);
  if (!value.is_object()) fail("not a JSON object");
  object_ = value.get_object();
}

void ConfigReader::fail(const std::string& what) const { throw DataError(path_.string() + ": " + what); }

const json::value* ConfigReader::find(std::string_view field) const {
  const json::value* value = object_.if_contains(field);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void ConfigReader::require(std::string_view field, int64_t& into) const {
  const json::value* value = find(field);
  if (value == nullptr) fail(fmt::format("{} is missing", field));
  if (!value->is_int64()) fail(fmt::format("{}: {} is not an integer", field, json::serialize(*value)));
  into = value->get_int64();
}

void ConfigReader::optional(std::string_view field, int64_t& into) const {
  if (find(field) != nullptr) require(field, into);
}

void ConfigReader::optional(std::string_view field, double& into) const {
  const json::value* value = find(field);
  if (value == nullptr) return;
  if (!value->is_number()) fail(fmt::format("{}: {} is not a number", field, json::serialize(*value)));
  into = value->to_number<double>();
}

void ConfigReader::optional(std::string_view field, bool& into) const {
  const json::value* value = find(field);
  if (value == nullptr) return;
  if (!value->is_bool()) fail(fmt::format("{}: {} is not true or false", field, json::serialize(*value)));
  into = value->get_bool();
}

std::string ConfigReader::text(std::string_view field, std::string_view absent) const {
  const json::value* value = find(field);
  if (value == nullptr) return std::string(absent);
  if (!value->is_string()) fail(fmt::format("{}: {} is not a string", field, json::serialize(*value)));
  return std::string(value->get_string());
}

void ConfigReader::only(std::string_view field, std::string_view supported) const {
  const json::value* value = find(field);
  if (value != nullptr && !(value->is_string() && value->get_string() == supported)) {
    fail(fmt::format("{}: {} is not supported; only \"{}\" is", field, json::serialize(*value), supported));
  }
}

void ConfigReader::refuse_if_true(std::initializer_list<std::string_view> fields) const {
  for (const std::string_view field : fields) {
    bool on = false;
    optional(field, on);
    if (on) fail(fmt::format("{}: true is not supported; only false is", field));
  }
}

}  // namespace qing::nn
