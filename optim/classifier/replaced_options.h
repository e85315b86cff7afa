// What a training takes from the model that it begins with.
#pragma once

#include <array>
#include <string_view>

namespace qing::optim {

/// The training options, by their names on the command line, in whose place TrainOptions::from has its own.
inline constexpr std::array<std::string_view, 5> kReplacedByModel = {"layers", "width", "heads", "vocab", "byte-level"};

}  // namespace qing::optim
