// One head of attention as the kernels of every ISA take it. attention_tiles.inl states the formulas, the tiles and the
// order of sums.
#pragma once

#include <cstdint>

namespace qing::kernels {

/// The numbers of keys and queries in a tile. Tiles begin at the first key and the first query of a sequence, so that
/// the order of every sum depends on its sequence alone.
inline constexpr int64_t kKeyTile = 64, kQueryTile = 48;

/// Rows that lie `step` elements apart; the elements of a row are neighbours. Null data: not wanted.
template <class T> struct MatrixRows {
  T* data = nullptr;
  int64_t step = 0;
};

/// What is done to the scaled score of query i and key j, at i·row + j·column: `added` is added; where `allowed` is
/// false the key is hidden. At most one of them.
template <class T> struct ScoreMask {
  const bool* allowed = nullptr;
  const T* added = nullptr;
  int64_t row = 0, column = 0;
};

/// Which weights are dropped: 16 bits of Philox4x32-10's (seed, stream) each, where they are below `threshold`. Those
/// of a tile of keys and queries are one run of numbers, `first_tile` being the first of this head.
struct WeightDropout {
  uint64_t seed = 0, stream = 0;
  uint64_t first_tile = 0;
  uint32_t threshold = 0;  ///< 0: nothing is dropped
};

/// softmax(scale·q·kᵀ + mask)·v for q [queries, depth], k [keys, depth], v [keys, value_depth].
template <class T> struct AttentionHead {
  int64_t queries, keys, depth, value_depth;
  T scale;
  MatrixRows<const T> q, k, v;
  bool causal = false;
  int64_t first_query = 0;  ///< query i sees keys 0 to first_query + i when causal
  ScoreMask<T> mask = {};
  WeightDropout dropout = {};
  T factor = 1;  ///< of the weights that are kept
};

/// For each query: the largest score (−∞ if it has no key to attend to), and 1 / Σ e^(score − largest), or 0. Two
/// numbers instead of the logarithm of the sum, which would lose three digits for scores of a thousand.
template <class T> struct SoftmaxSums { T *largest, *inverse; };

/// The inputs of backward, and the gradients that are wanted (null: not wanted).
template <class T> struct AttentionGradients {
  MatrixRows<const T> y, dy;
  MatrixRows<T> dq, dk, dv;
  bool add_q, add_k, add_v;  ///< to what is there; else overwrite. dv may be dk's memory when add_v.
  T* dmask;                  ///< queries×keys; what no query sees is left alone
};

}  // namespace qing::kernels
