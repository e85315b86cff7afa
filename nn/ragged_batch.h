// The native layout of a batch of sequences: concatenated token ids plus offsets, without padding.
#pragma once

#include <span>
#include <vector>

#include <qing/autograd/ops.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

struct RaggedBatch {
  Tensor ids;        ///< i32 [tokens]
  Tensor positions;  ///< i32 [tokens]: 0, 1, ... within each sequence
  Tensor firsts;     ///< i64 [sequences]: the row of each sequence's first token
  Offsets offsets;   ///< [sequences + 1]

  /// Joins the sequences in order. ValueError when one is empty.
  static RaggedBatch of(std::span<const std::span<const int32_t>> sequences);
  /// Sequences first to last − 1, from 0 ≤ first ≤ last ≤ sequences(). ids and positions share this batch's memory.
  RaggedBatch part(int64_t first, int64_t last) const;
  int64_t sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t tokens() const { return offsets.back(); }
  std::vector<int64_t> lengths() const;  ///< the tokens of each sequence
};

}  // namespace qing::nn
