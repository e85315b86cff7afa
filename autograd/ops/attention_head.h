// One head of one sequence, computed on the calling thread with products whose shapes depend on that sequence alone:
// what the ragged and the dense attention are made of. Private to this folder.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/gemm.h>

namespace qing {

/// Rows that lie `step` elements apart; the elements of a row are neighbours. Null data: not wanted.
template <class T>
struct Rows {
  T* data = nullptr;
  int64_t step = 0;
};

/// What is done to the scaled score of query i and key j, at i·row + j·column: `added` is added; where `allowed` is
/// false the key is hidden. At most one of them.
template <class T>
struct ScoreMask {
  const bool* allowed = nullptr;
  const T* added = nullptr;
  int64_t row = 0, column = 0;
};

template <class T>
T* attention_scratch(int64_t elements) {
  thread_local std::vector<T> scratch;
  scratch.resize(static_cast<size_t>(elements));
  return scratch.data();
}

template <class T>
struct AttentionHead {
  int64_t queries, keys, depth, value_depth;
  T scale;
  Rows<const T> q, k, v;
  bool causal = false;
  int64_t first_query = 0;  // query i sees keys 0 to first_query + i when causal
  ScoreMask<T> mask = {};
  const uint8_t* keep = nullptr;  // queries×keys; null without dropout
  T factor = 1;                   // of what is kept

  int64_t size() const { return queries * keys; }
  int64_t visible(int64_t i) const { return causal ? std::clamp<int64_t>(first_query + i + 1, 0, keys) : keys; }

  /// out = softmax(scale·q·kᵀ + mask)·v. A query without a key to attend to gets zeros. The weights, queries×keys, go
  /// to `weights` if not null.
  void forward(T* weights, Rows<T> out) const {
    T* const scores = attention_scratch<T>(2 * size());
    T* prob = weights != nullptr ? weights : scores;
    gemm_serial<T>(Trans::no, Trans::yes, queries, keys, depth, q.data, q.step, k.data, k.step, scores, keys);
    for (int64_t i = 0; i < queries; ++i) normalise(i, scores + i * keys, prob + i * keys);
    if (keep != nullptr) {
      T* const dropped = scores + size();
      drop(prob, dropped);
      prob = dropped;
    }
    gemm_serial<T>(Trans::no, Trans::no, queries, value_depth, keys, prob, keys, v.data, v.step, out.data, out.step);
  }

  struct Into {
    Rows<T> rows;
    bool add;  // to what is there; else overwrite
  };
  /// From the forward's weights and dy to the gradients that are wanted, in the order q, k, v: when two are the same
  /// memory, the first to come overwrites and the next ones add. `dmask`, queries×keys or null, is overwritten.
  void backward(const T* weights, Rows<const T> dy, Into dq, Into dk, Into dv, T* dmask) const {
    T* const dp = attention_scratch<T>(2 * size());
    if (dq.rows.data != nullptr || dk.rows.data != nullptr || dmask != nullptr) {
      through_softmax(weights, dy, dp, dmask);
      if (dq.rows.data != nullptr) {
        gemm_serial<T>(Trans::no, Trans::no, queries, depth, keys, dp, keys, k.data, k.step, dq.rows.data, dq.rows.step,
                       nullptr, dq.add);
      }
      if (dk.rows.data != nullptr) {
        gemm_serial<T>(Trans::yes, Trans::no, keys, depth, queries, dp, keys, q.data, q.step, dk.rows.data,
                       dk.rows.step, nullptr, dk.add);
      }
    }
    if (dv.rows.data == nullptr) return;
    T* const dropped = dp + size();
    if (keep != nullptr) drop(weights, dropped);
    gemm_serial<T>(Trans::yes, Trans::no, keys, value_depth, queries, keep != nullptr ? dropped : weights, keys,
                   dy.data, dy.step, dv.rows.data, dv.rows.step, nullptr, dv.add);
  }

 private:
  // Row i of the scores, which may be overwritten, to weights.
  void normalise(int64_t i, T* scores, T* prob) const {
    const int64_t n = visible(i);
    const bool masked = mask.allowed != nullptr || mask.added != nullptr;
    if (n == 0 || (masked && !apply_mask(i, n, scores))) {
      std::fill(prob, prob + keys, T(0));
      return;
    }
    kernels::kernels<T>().softmax(n, masked ? T(1) : scale, scores, prob);
    std::fill(prob + n, prob + keys, T(0));
  }

  // Scales and masks the first n scores of row i; false when every key is hidden.
  bool apply_mask(int64_t i, int64_t n, T* scores) const {
    constexpr T kHidden = -std::numeric_limits<T>::infinity();
    bool any = false;
    for (int64_t j = 0; j < n; ++j) {
      const int64_t at = i * mask.row + j * mask.column;
      if (mask.added != nullptr) {
        scores[j] = scale * scores[j] + mask.added[at];
      } else {
        scores[j] = mask.allowed[at] ? scale * scores[j] : kHidden;
      }
      any = any || scores[j] != kHidden;
    }
    return any;
  }

  // out = weights where kept, scaled; else 0. `out` may be `weights`.
  void drop(const T* weights, T* out) const {
    for (int64_t i = 0; i < size(); ++i) out[i] = keep[i] ? weights[i] * factor : T(0);
  }

  // dp = the gradient of q·kᵀ. Through softmax: ds = p ∘ (dp − Σ dp∘p), then the scale that q·kᵀ was multiplied by.
  void through_softmax(const T* weights, Rows<const T> dy, T* dp, T* dmask) const {
    gemm_serial<T>(Trans::no, Trans::yes, queries, keys, value_depth, dy.data, dy.step, v.data, v.step, dp, keys);
    if (keep != nullptr) drop(dp, dp);
    for (int64_t i = 0; i < queries; ++i) {
      T* row = dp + i * keys;
      const T* p = weights + i * keys;
      const T inner = kernels::kernels<T>().dot(keys, p, row);
      if (dmask != nullptr) {
        for (int64_t j = 0; j < keys; ++j) dmask[i * keys + j] = p[j] * (row[j] - inner);
      }
      for (int64_t j = 0; j < keys; ++j) row[j] = scale * p[j] * (row[j] - inner);
    }
  }
};

}  // namespace qing
