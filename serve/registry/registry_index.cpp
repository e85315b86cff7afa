// The index of all versions: those that are served, and those that are not, with the reason.
#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include <qing/serve/registry/registry.h>

namespace qing::serve {

std::vector<std::int64_t> Registry::served_versions(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto model = now_.models.find(name);
  if (model == now_.models.end()) return {};
  std::vector<std::int64_t> versions = {model->second.version};
  const std::pair<std::string, std::int64_t> first(name, 0);
  for (auto pin = now_.pinned.lower_bound(first); pin != now_.pinned.end() && pin->first.first == name; ++pin) {
    if (pin->first.second != model->second.version) versions.push_back(pin->first.second);
  }
  std::ranges::sort(versions);
  return versions;
}

std::vector<Registry::Indexed> Registry::index() const {
  std::map<std::pair<std::string, std::int64_t>, Indexed> all;
  const auto add = [&](const std::string& name, std::int64_t version, bool ready, std::string_view reason) {
    all.try_emplace({name, version}, Indexed{name, version, ready, std::string(reason)});
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
    if (entry.ready) entry.reason = failure.why;  // it is served, but loading it again failed
  }
  const auto add_unpinned = [&](const std::string& name, std::int64_t version) {
    const auto found = now_.unpinned.find({name, version});
    if (found != now_.unpinned.end()) add(name, version, false, found->second);  // unless it has been loaded since
  };
  for (const auto& [alias, target] : now_.state.aliases) add_unpinned(target.model, target.version);
  for (const auto& [name, trial] : now_.state.trials) add_unpinned(name, trial.version);
  for (const auto& [name, choice] : now_.state.models) {
    if (choice.version == 0 && !now_.models.contains(name)) add(name, choice.highest, false, kUnloaded);
  }
  std::vector<Indexed> list;
  list.reserve(all.size());
  for (auto& [key, entry] : all) list.push_back(std::move(entry));
  return list;
}

}  // namespace qing::serve
