#include <qing/nn/data/dataset.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <qing/nn/data/sampler.h>

namespace qing::nn {
namespace {

constexpr double kShareTolerance = 1e-9;

std::vector<size_t> counts_of(size_t size, std::span<const double> lengths) {
  double sum = 0;
  for (const double length : lengths) {
    if (!(length >= 0)) throw ValueError(fmt::format("random_split: length {} is negative", length));
    sum += length;
  }
  std::vector<size_t> counts;
  if (std::abs(sum - 1) <= kShareTolerance) {
    size_t left = size;
    for (const double share : lengths) {
      counts.push_back(std::min(left, static_cast<size_t>(share * static_cast<double>(size))));
      left -= counts.back();
    }
    for (size_t i = 0; left > 0; ++i, --left) ++counts[i % counts.size()];
    return counts;
  }
  if (sum != static_cast<double>(size)) {
    throw ValueError(
        fmt::format("random_split: the lengths sum to {}; they must sum to the size, {}, or to 1", sum, size));
  }
  for (const double length : lengths) {
    if (length != std::floor(length)) throw ValueError(fmt::format("random_split: length {} is not a count", length));
    counts.push_back(static_cast<size_t>(length));
  }
  return counts;
}

}  // namespace

void check_index(size_t i, size_t size, const char* op) {
  if (i >= size) throw IndexError(fmt::format("{}: index {} is out of range; there are {} examples", op, i, size));
}

std::vector<std::vector<size_t>> random_split_indices(size_t size, std::span<const double> lengths, uint64_t seed) {
  const std::vector<size_t> counts = counts_of(size, lengths);
  const std::vector<size_t> indices = RandomSampler(size, {.seed = seed}).indices(0);
  std::vector<std::vector<size_t>> parts;
  size_t first = 0;
  for (const size_t count : counts) {
    parts.emplace_back(indices.begin() + static_cast<ptrdiff_t>(first),
                       indices.begin() + static_cast<ptrdiff_t>(first + count));
    first += count;
  }
  return parts;
}

}  // namespace qing::nn
