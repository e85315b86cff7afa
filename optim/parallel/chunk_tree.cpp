#include <qing/optim/parallel/chunk_tree.h>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

// Cuts items into `parts` runs: part k ends at the item boundary that lies nearest to its share of the whole cost.
std::vector<int64_t> boundaries(std::span<const int64_t> costs, int64_t parts) {
  const auto total = std::accumulate(costs.begin(), costs.end(), int64_t{0});
  std::vector<int64_t> firsts = {0};
  int64_t item = 0, before = 0;  // the cost of the items before `item`
  for (int64_t part = 1; part < parts; ++part) {
    // Twice the costs, times the parts, so that everything is an integer.
    const int64_t wanted = 2 * total * part;
    while (item < std::ssize(costs) && parts * (2 * before + costs[static_cast<size_t>(item)]) <= wanted) {
      before += costs[static_cast<size_t>(item)];
      ++item;
    }
    firsts.push_back(item);
  }
  firsts.push_back(std::ssize(costs));
  return firsts;
}

void add_largest(ChunkRange node, ChunkRange own, std::vector<ChunkRange>& found) {
  if (node.last <= own.first || own.last <= node.first) return;
  if (own.first <= node.first && node.last <= own.last) {
    found.push_back(node);
    return;
  }
  const int middle = middle_of(node);
  add_largest({node.first, middle}, own, found);
  add_largest({middle, node.last}, own, found);
}

}  // namespace

bool are_halves(ChunkRange left, ChunkRange right, int chunks) {
  const ChunkRange wanted{left.first, right.last};
  for (ChunkRange node{0, chunks}; node.size() > 1;) {
    const int middle = middle_of(node);
    if (node == wanted) return left.last == middle && right.first == middle;
    node = wanted.last <= middle ? ChunkRange{node.first, middle} : ChunkRange{middle, node.last};
    if (wanted.first < node.first || node.last < wanted.last) return false;
  }
  return false;
}

std::vector<ChunkRange> largest_nodes(ChunkRange own, int chunks) {
  std::vector<ChunkRange> found;
  if (own.size() > 0) add_largest({0, chunks}, own, found);
  return found;
}

std::vector<ChunkRange> divide_chunks(std::span<const int64_t> costs, int ranks) {
  const std::vector<int64_t> firsts = boundaries(costs, ranks);
  std::vector<ChunkRange> ranges;
  for (size_t rank = 0; rank + 1 < firsts.size(); ++rank) {
    ranges.push_back({static_cast<int>(firsts[rank]), static_cast<int>(firsts[rank + 1])});
  }
  return ranges;
}

std::vector<int64_t> cut_into_chunks(std::span<const int64_t> costs, int chunks) {
  if (chunks < 1)
    throw ValueError(fmt::format("cut_into_chunks: there are {} chunks; there must be at least 1", chunks));
  return boundaries(costs, chunks);
}

}  // namespace qing::optim
