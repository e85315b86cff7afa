// The state folder of commands that work on one.
#pragma once

#include <filesystem>

#include <CLI/CLI.hpp>

namespace qing::serve::cli {

/// $XDG_STATE_HOME/qing, by the XDG Base Directory Specification 0.8. Empty when neither that nor HOME is set.
std::filesystem::path default_state();
/// Adds --state, the folder that `qing serve` uses by default.
CLI::Option* add_state(CLI::App* command, std::filesystem::path& state);

}  // namespace qing::serve::cli
