// The order in which the gradients of a batch are summed. A batch is cut into chunks, which are the leaves of a binary
// tree. The sum of a node is the sum of its left half plus the sum of its right half. The tree depends on the number of
// chunks alone, so every number of ranks gives the same sum to the bit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qing::optim {

/// The chunks from `first` to `last` − 1.
struct ChunkRange {
  int first, last;
  int size() const { return last - first; }
  bool operator==(const ChunkRange&) const = default;
};

/// The chunk at which the right half of a node of at least two chunks begins.
inline int middle_of(ChunkRange node) { return node.first + node.size() / 2; }

/// Whether the two ranges are the two halves of one node of the tree over `chunks` chunks.
bool are_halves(ChunkRange left, ChunkRange right, int chunks);

/// The largest nodes of the tree that lie within `own`, in order: what a rank with these chunks can sum by itself.
std::vector<ChunkRange> largest_nodes(ChunkRange own, int chunks);

/// Divides the chunks among `ranks` ranks, so that their costs are about equal. Each rank has a run of chunks, which
/// may be empty. The costs are at least 0.
std::vector<ChunkRange> divide_chunks(std::span<const int64_t> costs, int ranks);

/// Cuts items of these costs (the texts of a batch, by their tokens) into `chunks` runs of about equal cost. Returns
/// the first item of each chunk and the number of items. Chunks may be empty. The result depends on the arguments
/// alone. ValueError unless chunks > 0.
std::vector<int64_t> cut_into_chunks(std::span<const int64_t> costs, int chunks);

}  // namespace qing::optim
