#include "state_option.h"

#include <cstdlib>

namespace qing::serve::cli {

std::filesystem::path default_state() {
  const auto folder_in = [](const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::filesystem::path() : std::filesystem::path(value);
  };
  if (const auto state = folder_in("XDG_STATE_HOME"); state.is_absolute()) return state / "qing";
  const auto home = folder_in("HOME");
  return home.empty() ? home : home / ".local/state/qing";
}

CLI::Option* add_state(CLI::App* command, std::filesystem::path& state) {
  state = default_state();
  return command->add_option("--state", state, "State folder of qing serve")
      ->type_name("FOLDER")
      ->default_str("$XDG_STATE_HOME/qing, else ~/.local/state/qing");
}

}  // namespace qing::serve::cli
