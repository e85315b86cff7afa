// The command line of `qing`, as each command's file sees it. A file X.cpp of serve/cli/commands defines
// add_X(CommandLine&), which adds the command to `app`. CMake makes the table of these functions from the files' names.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace qing::serve::cli {

/// Outlives all commands. Not thread-safe.
struct CommandLine {
  CLI::App& app;
  std::vector<std::string> arguments;     ///< those of the program before "--": the command's name first
  std::vector<std::string> after_dashes;  ///< the arguments after "--", which CLI11 does not see
  bool takes_after_dashes = false;        ///< set by the callback of a command that uses them
  /// Set by the callback of the chosen command. It returns normally when all went well, and throws a qing::Error
  /// otherwise.
  std::function<void()> run;
};

/// Adds every command.
void add_commands(CommandLine& line);

}  // namespace qing::serve::cli
