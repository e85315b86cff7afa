#include <qing/nn/models/sentence_modules.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <qing/nn/models/config_reader.h>
#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kModulesFile = "modules.json";
constexpr const char* kSettingsFile = "config_sentence_transformers.json";

[[noreturn]] void fail(const fs::path& file, const std::string& what) { throw DataError(file.string() + ": " + what); }

std::string text_of(const json::object& module, std::string_view field, const fs::path& file) {
  const json::value* value = module.if_contains(field);
  if (value == nullptr || !value->is_string()) fail(file, fmt::format("a module without the text {}", field));
  return std::string(value->get_string());
}

// A folder below the directory, or the directory itself.
fs::path folder_of(const json::object& module, const fs::path& file) {
  fs::path folder = fs::path(text_of(module, "path", file)).lexically_normal();
  if (folder.is_absolute() || (!folder.empty() && *folder.begin() == "..")) {
    fail(file, fmt::format("path: '{}' leads out of the directory", folder.string()));
  }
  return folder;
}

// Files say which pooling by a name, older ones by a flag for each.
SentencePooling read_pooling(const fs::path& path, bool has_prompt) {
  const ConfigReader reader(path);
  bool includes_prompt = true;
  reader.optional("include_prompt", includes_prompt);
  if (has_prompt && !includes_prompt) {
    reader.fail("include_prompt: false is not supported for a model with a default prompt");
  }
  constexpr std::pair<std::string_view, std::string_view> kModes[] = {
      {"cls", "pooling_mode_cls_token"},
      {"mean", "pooling_mode_mean_tokens"},
      {"max", "pooling_mode_max_tokens"},
      {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"},
      {"weightedmean", "pooling_mode_weightedmean_tokens"},
      {"lasttoken", "pooling_mode_lasttoken"},
  };
  std::vector<std::string> modes;
  if (reader.find("pooling_mode") != nullptr) modes.push_back(reader.text("pooling_mode", ""));
  for (const auto& [mode, field] : kModes) {
    bool on = false;
    reader.optional(field, on);
    if (on && std::ranges::find(modes, mode) == modes.end()) modes.emplace_back(mode);
  }
  if (modes == std::vector<std::string>{"cls"}) return SentencePooling::cls;
  if (modes == std::vector<std::string>{"mean"}) return SentencePooling::mean;
  reader.fail(fmt::format("pooling_mode: {} is not supported; only cls or mean is",
                          modes.empty() ? "none" : fmt::format("{}", fmt::join(modes, " and "))));
}

// What sentence-transformers puts in front of every text when its caller names no prompt.
std::string read_prompt(const fs::path& path) {
  if (!is_there(path)) return {};
  const ConfigReader reader(path);
  const std::string name = reader.text("default_prompt_name", "");
  if (reader.find("default_prompt_name") == nullptr) return {};
  const json::value* prompts = reader.find("prompts");
  const json::object* list = prompts == nullptr ? nullptr : prompts->if_object();
  const json::value* prompt = list == nullptr ? nullptr : list->if_contains(name);
  if (prompt == nullptr) reader.fail(fmt::format("default_prompt_name: '{}' is none of the prompts", name));
  if (prompt->is_null()) return {};
  if (!prompt->is_string()) reader.fail(fmt::format("prompts.{}: must be a text", name));
  return std::string(prompt->get_string());
}

// sentence-transformers cuts the vectors of such a model, after it normalized them.
void refuse_cut_vectors(const fs::path& path) {
  if (!is_there(path)) return;
  const ConfigReader reader(path);
  const json::value* size = reader.find("truncate_dim");
  if (size == nullptr || size->is_null()) return;
  reader.fail(
      fmt::format("truncate_dim: {} is not supported; set it to null for the whole vectors", json::serialize(*size)));
}

}  // namespace

SentenceModules read_sentence_modules(const fs::path& directory) {
  const fs::path file = directory / kModulesFile;
  if (!is_there(file)) return {.encoder = directory};
  const json::value value = read_json_file(file);
  if (!value.is_array()) fail(file, "not a list of modules");
  SentenceModules modules;
  std::vector<std::string> kinds;
  for (const json::value& each : value.get_array()) {
    const json::object* module = each.if_object();
    if (module == nullptr) fail(file, "a module that is no object");
    const std::string type = text_of(*module, "type", file), kind = type.substr(type.rfind('.') + 1);
    kinds.push_back(kind);
    if (kind == "Transformer") {
      modules.encoder = directory / folder_of(*module, file);
    } else if (kind == "Pooling") {
      modules.pooling = directory / folder_of(*module, file) / "config.json";
    } else if (kind == "Normalize") {
      modules.options.normalize = true;
    } else {
      fail(file, fmt::format("type: {} is not supported; only Transformer, Pooling and Normalize are", type));
    }
  }
  const std::vector<std::string> known{"Transformer", "Pooling", "Normalize"};
  if (kinds.size() < 2 || kinds.size() > known.size() || !std::equal(kinds.begin(), kinds.end(), known.begin())) {
    fail(file, fmt::format("the modules {}; needs Transformer, Pooling and, if wanted, Normalize, in this order",
                           fmt::join(kinds, ", ")));
  }
  refuse_cut_vectors(directory / kSettingsFile);
  modules.prompt = read_prompt(directory / kSettingsFile);
  modules.options.pooling = read_pooling(modules.pooling, !modules.prompt.empty());
  return modules;
}

}  // namespace qing::nn
