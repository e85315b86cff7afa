#include <qing/optim/parallel/slow_ranks.h>

#include <algorithm>
#include <utility>

namespace qing::optim {

std::optional<SlowRank> SlowRanks::add(std::span<const double> seconds) {
  if (seconds.size() < 2) return std::nullopt;
  sums_.resize(seconds.size());
  named_.resize(seconds.size(), -kPatience);
  for (size_t rank = 0; rank < seconds.size(); ++rank) sums_[rank] += seconds[rank];
  if (++steps_ % kSteps != 0) return std::nullopt;
  const std::vector<double> sums = std::exchange(sums_, {});
  const auto slowest = std::ranges::max_element(sums) - sums.begin();
  std::vector<double> others = sums;
  others.erase(others.begin() + slowest);
  const auto middle = others.begin() + (std::ssize(others) - 1) / 2;
  std::ranges::nth_element(others, middle);
  ++comparisons_;
  const double slow = sums[static_cast<size_t>(slowest)];
  int64_t& named = named_[static_cast<size_t>(slowest)];
  if (slow < kSlow * *middle || comparisons_ - named < kPatience) return std::nullopt;
  named = comparisons_;
  return SlowRank{static_cast<int>(slowest), *middle > 0 ? slow / *middle : kSlow};
}

}  // namespace qing::optim
