// Code that ragged and dense attention share. Private to this folder.
#pragma once

#include <array>
#include <cstdint>

#include <qing/autograd/graph.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/attention_scratch.h>
#include <qing/tensor/random.h>

namespace qing {

/// The number of tiles of weights; dropout counts its random numbers in tiles.
inline int64_t attention_tiles(int64_t queries, int64_t keys) {
  return (queries + kernels::kQueryTile - 1) / kernels::kQueryTile *
         ((keys + kernels::kKeyTile - 1) / kernels::kKeyTile);
}

/// Scratch memory of one thread for kernels on heads of these depths.
inline Tensor attention_scratch(int64_t depth, int64_t value_depth, DType dtype) {
  return Tensor::empty({attention_scratch_elements(depth, value_depth)}, dtype);
}

/// Dropout of the weights, in steps of 2^-16, and the factor of the kept ones. Takes one stream of rng if it is not
/// null and p > 0.
struct AttentionDropout {
  kernels::WeightDropout weights = {};
  double factor = 1;

  AttentionDropout(double p, Generator* rng);
  bool active() const { return weights.threshold > 0; }
  kernels::WeightDropout from_tile(int64_t first) const;
  /// The factors that the kernels multiply the weights of `heads` heads by, from tile first_tile on: [heads, queries,
  /// keys].
  Tensor factors(int64_t first_tile, int64_t heads, int64_t queries, int64_t keys, DType dtype) const;
};

/// The targets of the gradients of q, k and v. Tile by tile, the kernel writes the gradients of keys before those of
/// queries. So queries that are also keys or values get memory of their own.
class AttentionTargets {
 public:
  explicit AttentionTargets(GradSink& grad);
  bool defined(size_t i) const { return targets_[i].tensor.defined(); }
  const GradSink::Target& operator[](size_t i) const { return targets_[i]; }
  void finish(GradSink& grad) const {
    if (apart_) grad.add(0, targets_[0].tensor);
  }

 private:
  std::array<GradSink::Target, 3> targets_ = {};
  bool apart_ = false;
};

}  // namespace qing
