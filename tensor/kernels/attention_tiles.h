// The arguments of the attention kernels of every ISA for one head. attention_tiles.inl states the formulas, the tiles
// and the order of sums.
#pragma once

#include <cstdint>

namespace qing::kernels {

/// The numbers of keys and queries in a tile. Tiles begin at the first key and the first query of a sequence, so that
/// the order of every sum depends on its sequence alone.
inline constexpr int64_t kKeyTile = 64, kQueryTile = 48;

/// Rows with a distance of `step` elements. The elements of a row are contiguous. Null data: not needed.
template <class T> struct MatrixRows {
  T* data = nullptr;
  int64_t step = 0;
};

/// The mask. The element of query i and key j is at i·row + j·column. `added` is added to the scaled score. Where
/// `allowed` is false, the key is hidden from the query. At most one of the two is set.
template <class T> struct ScoreMask {
  const bool* allowed = nullptr;
  const T* added = nullptr;
  int64_t row = 0, column = 0;
};

/// The dropout of the weights. A weight is dropped where its 16 bits of Philox4x32-10's (seed, stream) are below
/// `threshold`. The numbers of a tile of keys and queries are consecutive. `first_tile` is the first tile of this head.
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
  T factor = 1;  ///< factor of the kept weights
};

/// For each query: the largest score (−∞ without a visible key), and 1 / Σ e^(score − largest), or 0. These are two
/// numbers, because the logarithm of the sum would lose three digits for scores of a thousand.
template <class T> struct SoftmaxSums { T *largest, *inverse; };

/// The inputs of backward, and the targets of its gradients (null: not needed).
template <class T> struct AttentionGradients {
  MatrixRows<const T> y, dy;
  MatrixRows<T> dq, dk, dv;
  bool add_q, add_k, add_v;  ///< add to the target instead of overwriting it. dv may be dk's memory when add_v.
  T* dmask;                  ///< queries×keys; elements of keys that no query sees are not written
};

}  // namespace qing::kernels
