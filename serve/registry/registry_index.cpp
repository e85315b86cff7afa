// What the registry tells of all versions: those that serve, and those that do not and why.
#include <map>
#include <utility>

#include <qing/serve/registry/registry.h>

namespace qing::serve {

std::vector<std::int64_t> Registry::served_versions(std::string_view name) const {
  std::vector<std::int64_t> versions;
  for (const Indexed& entry : index()) {
    if (entry.ready && entry.name == name) versions.push_back(entry.version);
  }
  return versions;
}

std::vector<Registry::Indexed> Registry::index() const {
  std::map<std::pair<std::string, std::int64_t>, Indexed> all;
  const auto add = [&](const std::string& name, std::int64_t version, bool ready, const std::string& reason) {
    all.try_emplace({name, version}, Indexed{name, version, ready, reason});
  };
  const std::lock_guard lock(mutex_);
  for (const auto& [name, model] : now_.models) add(name, model.version, true, "");
  for (const auto& [key, classifier] : now_.pinned) {
    if (now_.models.contains(key.first)) add(key.first, key.second, true, "");
  }
  for (const auto& [name, failure] : now_.failures) {
    if (failure.version == 0) continue;
    add(name, failure.version, false, failure.why);
    Indexed& entry = all.at({name, failure.version});
    if (entry.ready) entry.reason = failure.why;  // it serves, but a second load of it has failed
  }
  const auto add_unpinned = [&](const std::string& name, std::int64_t version) {
    const auto found = now_.unpinned.find({name, version});
    if (found != now_.unpinned.end()) add(name, version, false, found->second);  // unless it has been loaded since
  };
  for (const auto& [alias, target] : now_.state.aliases) add_unpinned(target.model, target.version);
  for (const auto& [name, trial] : now_.state.trials) add_unpinned(name, trial.version);
  for (const auto& [name, choice] : now_.state.models) {
    if (choice.version == 0 && !now_.models.contains(name)) add(name, choice.highest, false, "unloaded");
  }
  std::vector<Indexed> list;
  list.reserve(all.size());
  for (auto& [key, entry] : all) list.push_back(std::move(entry));
  return list;
}

}  // namespace qing::serve
