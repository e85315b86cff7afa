// The search for the settings of a training on a small part of its steps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace qing::serve {

/// What a search varies: the learning rate, as a factor, and the dropout.
struct SearchSetting {
  double lr_factor, dropout;
};

/// A search over n settings takes the first n.
inline constexpr std::array<SearchSetting, 8> kSearchSettings = {
    {{1, 0.1}, {3, 0.1}, {0.3, 0.1}, {1, 0.3}, {3, 0.3}, {0.3, 0.3}, {6, 0.1}, {0.1, 0.1}}};

/// Successive halving (Jamieson & Talwalkar 2016): rounds of equal cost, each with the better half of the settings of
/// the round before. Returns the number of the best one. All rounds together take at most `steps` steps, but each
/// training takes one at least. `score` trains the setting of a number for a number of steps; greater is better, and of
/// equal ones the first stays. ValueError for less than 2 settings.
size_t successive_halving(size_t settings, std::int64_t steps,
                          const std::function<double(size_t setting, std::int64_t steps)>& score);

}  // namespace qing::serve
