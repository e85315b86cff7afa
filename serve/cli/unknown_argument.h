// The error for an argument that a command does not take.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace qing::serve::cli {

/// After an ExtrasError of the parse: "qing train: there is no option --epoch; did you mean --epochs?". It names the
/// first option that the command does not have, else the first word that it has no place for.
std::string about_unknown_argument(const CLI::App& app);

}  // namespace qing::serve::cli
