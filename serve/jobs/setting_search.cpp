#include "setting_search.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing::serve {

size_t successive_halving(size_t settings, std::int64_t steps,
                          const std::function<double(size_t, std::int64_t)>& score) {
  if (settings < 2) throw ValueError(fmt::format("search: {} settings; a search needs at least 2", settings));
  std::int64_t rounds = 0;
  for (size_t left = settings; left > 1; left = (left + 1) / 2) ++rounds;
  std::vector<size_t> left(settings);
  std::iota(left.begin(), left.end(), size_t{0});
  while (left.size() > 1) {
    const std::int64_t each = std::max<std::int64_t>(1, steps / rounds / static_cast<std::int64_t>(left.size()));
    std::vector<std::pair<double, size_t>> scores;
    scores.reserve(left.size());
    for (const size_t setting : left) scores.emplace_back(score(setting, each), setting);
    std::ranges::stable_sort(scores, std::greater<>(), &std::pair<double, size_t>::first);
    scores.resize((scores.size() + 1) / 2);
    left.clear();
    for (const auto& [value, setting] : scores) left.push_back(setting);
  }
  return left.front();
}

}  // namespace qing::serve
