#include "registry_state.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace json = boost::json;

RegistryState RegistryState::read(const std::filesystem::path& file) {
  RegistryState state;
  if (!std::filesystem::exists(file)) return state;
  const std::string text = read_file(file);
  try {
    const json::value parsed = json::parse(text);
    for (const auto& [name, value] : parsed.at("models").as_object()) {
      const auto number = [&value = value](const char* key) { return value.at(key).to_number<std::int64_t>(); };
      state.models[name] = {number("version"), number("previous"), number("highest")};
    }
    for (const auto& [name, value] : parsed.at("aliases").as_object()) {
      const json::string& model = value.at("model").as_string();
      state.aliases[name] = {std::string(model), value.at("version").to_number<std::int64_t>()};
    }
  } catch (const std::exception& error) {
    throw DataError(fmt::format("{}: not a registry's state ({}); restore it, or delete it to serve the highest version "
                                "of every model, without aliases", file.string(), error.what()));
  }
  return state;
}

void RegistryState::write(const std::filesystem::path& file) const {
  json::object chosen, named;
  for (const auto& [name, choice] : models) {
    chosen[name] = {{"version", choice.version}, {"previous", choice.previous}, {"highest", choice.highest}};
  }
  for (const auto& [name, alias] : aliases) named[name] = {{"model", alias.model}, {"version", alias.version}};
  write_file_atomically(file, json::serialize(json::object{{"models", chosen}, {"aliases", named}}) + "\n");
}

}  // namespace qing::serve
