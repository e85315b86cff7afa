// What a start and a rescan find: the models' folder and the state file against what is loaded.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/common/log.h>
#include <qing/serve/registry/registry.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

using Versions = std::vector<std::int64_t>;

const Choice* choice_of(const RegistryState& state, const std::string& name) {
  const auto found = state.models.find(name);
  return found == state.models.end() ? nullptr : &found->second;
}

// The version that should answer: one that has come since the last choice, or the chosen one, or the highest; and after
// it those that can stand in, the chosen one first.
Versions in_order(const Versions& versions, const Choice* choice) {
  Versions order;
  if (choice == nullptr || versions.back() > choice->highest) order.push_back(versions.back());
  if (choice != nullptr) order.push_back(choice->version);
  const std::int64_t last = order.back();
  std::copy_if(versions.rbegin(), versions.rend(), std::back_inserter(order),
               [last](std::int64_t version) { return version < last; });
  return order;
}

}  // namespace

void Registry::load() {
  if (root_.empty()) throw ValueError("Registry: there is no folder to load models from; construct it with one");
  const std::lock_guard changing(changing_);
  Findings findings;
  Contents next = look(findings);
  if (next.models.empty() && !next.failures.empty()) {
    std::string all;
    for (const auto& [name, failure] : next.failures) {
      all += fmt::format("{}{}: {}", all.empty() ? "" : "; ", name, failure.text());
    }
    throw DataError(fmt::format("models folder {}: no model can be loaded: {}", root_.folder().string(), all));
  }
  adopt(std::move(next), findings);
}

Registry::Failures Registry::rescan() {
  const std::lock_guard changing(changing_);
  if (root_.empty()) return {};
  Findings findings;
  Contents next = look(findings);
  Failures failures = next.failures;
  adopt(std::move(next), findings);
  return failures;
}

// What should be served now.
Registry::Contents Registry::look(Findings& findings) const {
  Contents next;
  // In this order: a version on its way loses its mark after the choice that goes with it is written. The other way
  // round, a version on trial could be found here without its trial, and would answer for all.
  const auto found = scan(next.failures);
  next.state = choices_.read();
  if (found.empty() && next.failures.empty() && now_.models.empty()) {
    throw DataError(fmt::format("models folder {}: no model in it; one lies in <name>/<version number>/, such as {}",
                                root_.folder().string(), (root_.folder() / "emotion_analysis" / "1").string()));
  }
  const auto wanted = [&](const std::string& name) {
    const Choice* choice = choice_of(next.state, name);
    return (choice == nullptr || choice->version != 0) && !next.state.aliases.contains(name);
  };
  for (const auto& [name, versions] : found) {
    if (next.state.aliases.contains(name)) {
      next.failures.insert_or_assign(
          name, noted(name, versions.back(), "an alias has this name; delete that, or rename the model's folder"));
    }
    if (!wanted(name)) continue;
    if (auto model = newest(name, versions, choice_of(next.state, name), next, findings)) {
      next.models.emplace(name, std::move(*model));
    }
  }
  // What was served still is when its folder is gone or holds nothing better.
  for (const auto& [name, model] : now_.models) {
    if (wanted(name)) next.models.emplace(name, model);
  }
  pin_aliases(next);
  pin_trials(next, findings.ended);
  return next;
}

void Registry::discover(const std::string& name) {
  const std::lock_guard changing(changing_);
  const std::vector<std::int64_t> versions = versions_of(name);
  const std::int64_t version = highest_kept(name, versions);
  if (version == 0) throw_unknown(name);
  const auto served = now_.models.find(name);
  if (served != now_.models.end() && served->second.version >= version) return;
  if (choices_.read().aliases.contains(name)) {
    throw ValueError(fmt::format("{}: an alias has this name; delete that, or rename the model's folder", name));
  }
  Loaded loaded = read_or_note(name, version);
  if (served != now_.models.end()) {
    try {
      require_same_labels(version, *loaded.model, served->second.version, *served->second.served);
    } catch (const OtherLabels& error) {
      throw OtherLabels(fmt::format("{}: version {} {}", name, version, error.what()));
    }
  }
  install(name, versions, version, std::move(loaded));
}

void Registry::require_same_labels(std::int64_t of, const nn::TaskModel& version, std::int64_t before,
                                   const nn::TaskModel& answering) {
  if (version.can_replace(answering)) return;
  throw OtherLabels(fmt::format(
      "gives {}, and version {}, which answers, gives {}; to let it answer nevertheless, load version {} with "
      "\"replace_labels\": true, or upload it with ?activate=true&replace_labels=true",
      version.answer_kind(), before, answering.answer_kind(), of));
}

// A version that nobody has chosen must not change the labels of the one that answers or, at a start, that was chosen.
void Registry::require_same_as_chosen(const Model& model, const Choice* choice) const {
  if (choice != nullptr && choice->version == model.version) return;
  if (const auto served = now_.models.find(model.name); served != now_.models.end()) {
    return require_same_labels(model.version, *model.served, served->second.version, *served->second.served);
  }
  if (choice == nullptr) return;
  Handle chosen;
  try {
    chosen = read_folder(folder_of(model.name, choice->version));
  } catch (const std::exception&) { return; }  // it cannot answer anyway
  require_same_labels(model.version, *model.served, choice->version, *chosen);
}

// Nothing when neither a version nor the limits can be loaded, or when what is served is better than what there is.
// Adds the failures to `next`.
std::optional<Model> Registry::newest(const std::string& name, const Versions& versions, const Choice* choice,
                                      Contents& next, Findings& findings) const {
  const auto served = now_.models.find(name);
  const std::int64_t before = served == now_.models.end() ? 0 : served->second.version;
  Versions order = in_order(versions, choice);
  if (choice == nullptr && before > order.front()) order.insert(order.begin(), before);  // its folder is gone
  for (const std::int64_t version : order) {
    try {
      Model model{name, version, versions, {}};
      model.limits = limits_of(name);  // before the log says that the version is loaded
      model.serve(kept_or_read(now_, name, version));
      if (version != before) require_same_as_chosen(model, choice);
      if (version != before && before != 0 && !model.served->can_replace(*served->second.served)) {
        log_line("warning", "labels_changed", {{"model", name}, {"version", version}, {"before", before}});
      }
      model.loaded = version == before ? served->second.loaded : seconds_now();
      if (version == before) {
        model.previous = served->second.previous;
      } else if (choice != nullptr && choice->version == version) {
        model.previous = choice->previous;
      } else {
        model.previous = before != 0 ? before : choice != nullptr ? choice->version : 0;
      }
      return model;
    } catch (const OtherLabels& error) {
      log_line("warning", "labels_kept", {{"model", name}, {"version", version}, {"error", error.what()}});
      next.failures.emplace(name, Failure{version, error.what()});
      if (choice == nullptr) findings.kept.push_back(name);
    } catch (const std::exception& error) { next.failures.emplace(name, noted(name, version, error.what())); }
    if (version == before) break;  // it answers on
  }
  return std::nullopt;
}

Registry::Handle Registry::kept_or_read(const Contents& next, const std::string& name, std::int64_t version) const {
  for (const Contents* contents : {&next, &now_}) {
    const auto model = contents->models.find(name);
    if (model != contents->models.end() && model->second.version == version) return model->second.served;
    const auto pinned = contents->pinned.find({name, version});
    if (pinned != contents->pinned.end()) return pinned->second;
  }
  return read(name, version);
}

// An alias or a trial whose version cannot be loaded any more must not keep anything else from being served.
void Registry::pin_aliases(Contents& next) const {
  for (const auto& [alias, target] : next.state.aliases) {
    if (target.version == 0 || !next.models.contains(target.model)) continue;
    try {
      next.pinned[{target.model, target.version}] = kept_or_read(next, target.model, target.version);
    } catch (const std::exception& error) {
      log_line("error", "alias_not_loaded",
               {{"alias", alias}, {"model", target.model}, {"version", target.version}, {"error", error.what()}});
      next.unpinned[{target.model, target.version}] = error.what();
    }
  }
}

void Registry::pin_trials(Contents& next, std::vector<std::string>& ended) const {
  for (const auto& [name, trial] : next.state.trials) {
    const auto model = next.models.find(name);
    if (model == next.models.end()) continue;
    try {
      Handle candidate = kept_or_read(next, name, trial.version);
      const bool fits = model->second.can_try(trial) && trial.version != model->second.version &&
                        candidate->can_replace(*model->second.served);
      fits ? void(next.pinned[{name, trial.version}] = std::move(candidate)) : ended.push_back(name);
    } catch (const std::exception& error) {
      log_line("error", "trial_not_loaded", {{"model", name}, {"version", trial.version}, {"error", error.what()}});
      next.unpinned[{name, trial.version}] = error.what();
    }
  }
  for (const std::string& name : ended) next.state.trials.erase(name);
}

void Registry::adopt(Contents next, const Findings& findings) {
  {
    const std::lock_guard lock(mutex_);
    std::swap(now_, next);
  }
  for (const std::string& name : findings.ended) log_line("info", "trial_ended", {{"model", name}});
  if (findings.ended.empty() && findings.kept.empty()) return;
  try {
    commit([&](RegistryState& state) {
      for (const std::string& name : findings.ended) state.trials.erase(name);
      for (const std::string& name : findings.kept) {
        const Model& model = now_.models.at(name);
        // A version that comes later is looked at again, and so is the one with other labels.
        state.models.try_emplace(name, Choice{model.version, model.previous, model.version});
      }
    });
  } catch (const std::exception& error) {
    log_line("warning", "state_not_written", {{"error", error.what()}});  // the next start finds the same
  }
}

}  // namespace qing::serve
