// Rules of a LabelMap as options of the command line.
#pragma once

#include <span>
#include <string>

namespace qing::nn {

/// The option that gives the names one label, in quotes where a shell needs them: "--map 1,2=negative". Empty for names
/// that cannot stand in it.
std::string map_option(std::span<const std::string> names, const std::string& label);

}  // namespace qing::nn
