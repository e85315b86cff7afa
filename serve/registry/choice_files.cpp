#include "choice_files.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>

#include <qing/serve/registry/model_folders.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// The model that an entry is about.
const std::string& model_of(const std::string& name, const Choice&) { return name; }
const std::string& model_of(const std::string& name, const Trial&) { return name; }
const std::string& model_of(const std::string&, const Alias& alias) { return alias.model; }

template <class Map> const typename Map::mapped_type* found_in(const Map& map, const std::string& name) {
  const auto found = map.find(name);
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace

ChoiceFiles::ChoiceFiles(fs::path first, fs::path second) : first_(std::move(first)), second_(std::move(second)) {
  std::error_code different;
  if (!second_.empty() && fs::equivalent(first_, second_, different)) second_.clear();
}

bool ChoiceFiles::in_second(const std::string& model) const {
  if (second_.empty() || !is_model_name(model)) return false;
  try {
    return !versions_below(second_ / model).empty();
  } catch (const fs::filesystem_error& error) {
    throw IoError(error.path1().string() + ": " + error.code().message() + "; make it readable");
  }
}

RegistryState ChoiceFiles::read_second() const {
  return second_.empty() ? RegistryState() : RegistryState::read(second_ / kFile);
}

// The second file's entries win over those of the first. They count only while their model is in the second root: its
// versions may have been removed.
RegistryState ChoiceFiles::merged(const RegistryState& first, const RegistryState& second) const {
  RegistryState all = first;
  const auto take = [this](auto& into, const auto& from) {
    for (const auto& [name, value] : from) {
      if (in_second(model_of(name, value))) into.insert_or_assign(name, value);
    }
  };
  take(all.models, second.models);
  take(all.aliases, second.aliases);
  take(all.trials, second.trials);
  return all;
}

RegistryState ChoiceFiles::read() const { return merged(RegistryState::read(first_ / kFile), read_second()); }

// Writes into both files what differs between `before` and `after`. An entry that did not change stays where it is.
// This holds for an entry of the first file that the second overrides, too: servers with another second root use it.
template <class Map> void ChoiceFiles::distribute(const Map& before, const Map& after, Map& first, Map& second) const {
  for (const auto& [name, value] : before) {
    if (!after.contains(name)) first.erase(name), second.erase(name);
  }
  for (const auto& [name, value] : after) {
    const auto* const old = found_in(before, name);
    if (old != nullptr && *old == value) continue;
    if (in_second(model_of(name, value))) {
      second.insert_or_assign(name, value);
    } else {
      first.insert_or_assign(name, value);
      second.erase(name);
    }
  }
}

RegistryState ChoiceFiles::change(const std::function<void(RegistryState&)>& change) const {
  std::optional<RegistryLock> second_lock, first_lock;
  if (!second_.empty() && is_folder(second_)) second_lock.emplace(second_);
  std::exception_ptr read_only;
  try {
    first_lock.emplace(first_);
  } catch (const IoError&) {
    if (!second_lock) throw;
    read_only = std::current_exception();
  }
  const RegistryState first = RegistryState::read(first_ / kFile), second = read_second();
  const RegistryState before = merged(first, second);
  RegistryState after = before, new_first = first, new_second = second;
  change(after);
  distribute(before.models, after.models, new_first.models, new_second.models);
  distribute(before.aliases, after.aliases, new_first.aliases, new_second.aliases);
  distribute(before.trials, after.trials, new_first.trials, new_second.trials);
  const bool write_first = new_first != first;
  if (write_first && read_only) std::rethrow_exception(read_only);
  // The first file is written first. After a crash between the two, the second file's old entries still win, and
  // nothing is lost.
  if (write_first) new_first.write(first_ / kFile);
  try {
    if (new_second != second) new_second.write(second_ / kFile);
  } catch (...) {
    if (write_first) first.write(first_ / kFile);
    throw;
  }
  return after;
}

void ChoiceFiles::withdraw(const fs::path& root, const std::string& name, std::int64_t version) {
  if (!is_there(root / kFile)) return;
  const RegistryLock lock(root);
  const RegistryState before = RegistryState::read(root / kFile);
  RegistryState state = before;
  if (const auto choice = state.models.find(name); choice != state.models.end() && choice->second.version == version) {
    if (choice->second.previous == 0) {
      state.models.erase(choice);
    } else {
      choice->second.version = std::exchange(choice->second.previous, 0);
    }
  }
  if (const auto trial = state.trials.find(name); trial != state.trials.end() && trial->second.version == version) {
    state.trials.erase(trial);
  }
  if (state != before) state.write(root / kFile);
}

}  // namespace qing::serve
