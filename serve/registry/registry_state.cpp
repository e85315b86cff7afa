#include "registry_state.h"

#include <cerrno>
#include <cstring>
#include <new>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>
#include <boost/json.hpp>

#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace json = boost::json;

RegistryState RegistryState::read(const std::filesystem::path& file) {
  RegistryState state;
  if (!std::filesystem::exists(file)) return state;
  const std::string text = read_file(file);
  try {
    const json::value parsed = nn::parse_file_json(text);
    for (const auto& [name, value] : parsed.at("models").as_object()) {
      const auto number = [&value = value](const char* key) { return value.at(key).to_number<std::int64_t>(); };
      state.models[name] = {number("version"), number("previous"), number("highest")};
    }
    for (const auto& [name, value] : parsed.at("aliases").as_object()) {
      const json::string& model = value.at("model").as_string();
      state.aliases[name] = {std::string(model), value.at("version").to_number<std::int64_t>()};
    }
    // Files of before there were trials have none.
    const json::value* trials = parsed.as_object().if_contains("trials");
    for (const auto& [name, value] : trials == nullptr ? json::object() : trials->as_object()) {
      state.trials[name] = {value.at("version").to_number<std::int64_t>(), value.at("share").to_number<double>(),
                            value.at("shadow").as_bool(), value.as_object().contains("compare"),
                            value.as_object().contains("by_request")};
    }
  } catch (const std::bad_alloc&) { throw; } catch (const std::exception& error) {
    throw DataError(
        fmt::format("{}: not a registry's state ({}); restore it, or delete it to serve the highest version "
                    "of every model, without aliases",
                    file.string(), error.what()));
  }
  return state;
}

void RegistryState::write(const std::filesystem::path& file) const {
  json::object chosen, named, tried;
  for (const auto& [name, choice] : models) {
    chosen[name] = {{"version", choice.version}, {"previous", choice.previous}, {"highest", choice.highest}};
  }
  for (const auto& [name, alias] : aliases) named[name] = {{"model", alias.model}, {"version", alias.version}};
  for (const auto& [name, trial] : trials) {
    json::object written{{"version", trial.version}, {"share", trial.share}, {"shadow", trial.shadow}};
    if (trial.compare) written["compare"] = true;
    if (trial.by_request) written["by_request"] = true;
    tried[name] = std::move(written);
  }
  const json::object all{{"models", chosen}, {"aliases", named}, {"trials", tried}};
  write_file_atomically(file, json::serialize(all) + "\n");
}

// A file of its own: the state's is replaced whenever it is written.
RegistryLock::RegistryLock(const std::filesystem::path& folder) {
  const std::string path = (folder / ".registry.lock").string();
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  int locked = file_ < 0 ? -1 : 0;
  if (file_ >= 0) {
    do locked = ::flock(file_, LOCK_EX);
    while (locked != 0 && errno == EINTR);
  }
  if (locked == 0) return;
  const int why = errno;
  if (file_ >= 0) ::close(file_);
  throw IoError(fmt::format("{}: cannot be locked: {}; make the folder writable", path, std::strerror(why)));
}

RegistryLock::~RegistryLock() { ::close(file_); }

}  // namespace qing::serve
