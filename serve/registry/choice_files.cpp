#include "choice_files.h"

#include <exception>
#include <optional>
#include <utility>

#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

namespace fs = std::filesystem;

bool holds_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

template <typename Map> bool gains(const Map& before, const Map& after) {
  for (const auto& [name, value] : after) {
    if (!before.contains(name)) return true;
  }
  return false;
}

bool gains(const RegistryState& before, const RegistryState& after) {
  return gains(before.models, after.models) || gains(before.aliases, after.aliases) ||
         gains(before.trials, after.trials);
}

// The second file's entry goes before one of the first for the same name.
RegistryState merged(RegistryState all, const RegistryState& second) {
  for (const auto& [name, choice] : second.models) all.models[name] = choice;
  for (const auto& [name, alias] : second.aliases) all.aliases[name] = alias;
  for (const auto& [name, trial] : second.trials) all.trials[name] = trial;
  return all;
}

}  // namespace

ChoiceFiles::ChoiceFiles(fs::path first, fs::path second) : first_(std::move(first)), second_(std::move(second)) {}

bool ChoiceFiles::in_second(const std::string& model) const {
  return !second_.empty() && !model.empty() && holds_folder(second_ / model);
}

// What concerns the models of the second root, or of the first.
RegistryState ChoiceFiles::of_second(const RegistryState& all, bool wanted) const {
  RegistryState part = all;
  std::erase_if(part.models, [&](const auto& choice) { return in_second(choice.first) != wanted; });
  std::erase_if(part.aliases, [&](const auto& alias) { return in_second(alias.second.model) != wanted; });
  std::erase_if(part.trials, [&](const auto& trial) { return in_second(trial.first) != wanted; });
  return part;
}

RegistryState ChoiceFiles::read_second() const {
  return second_.empty() ? RegistryState() : RegistryState::read(second_ / kFile);
}

RegistryState ChoiceFiles::read() const {
  return merged(RegistryState::read(first_ / kFile), of_second(read_second(), true));
}

RegistryState ChoiceFiles::change(const std::function<void(RegistryState&)>& change) const {
  std::optional<RegistryLock> second_lock, first_lock;
  if (!second_.empty() && holds_folder(second_)) second_lock.emplace(second_);
  std::exception_ptr read_only;
  try {
    first_lock.emplace(first_);
  } catch (const IoError&) {
    if (!second_lock) throw;
    read_only = std::current_exception();
  }
  const RegistryState first = RegistryState::read(first_ / kFile), second = read_second();
  RegistryState all = merged(first, of_second(second, true));
  change(all);
  const RegistryState first_part = of_second(all, false), second_part = of_second(all, true);
  const bool write_first = first_part != first, write_second = second_part != second;
  if (write_first && read_only) std::rethrow_exception(read_only);
  // An entry that moves is written to its new file before it leaves the old one: a crash between loses none.
  const bool first_gains = gains(first, first_part);
  if (write_first && first_gains) first_part.write(first_ / kFile);
  if (write_second) second_part.write(second_ / kFile);
  if (write_first && !first_gains) first_part.write(first_ / kFile);
  return all;
}

}  // namespace qing::serve
