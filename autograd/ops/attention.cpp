// Scaled dot-product attention over a ragged batch. Every (sequence, head) pair is a task of its own, computed by one
// thread with small products whose shapes depend on that sequence alone: hence neither the rest of the batch nor the
// number of threads changes a bit.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/elementwise.h>
#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// The geometry shared by forward and backward. Weights of pair (s, h) are queries×keys, pairs end to end.
struct Ragged {
  Offsets query_offsets, key_offsets;
  int64_t heads, width, depth;
  std::vector<int64_t> first_weight;  // of each sequence, its heads' matrices end to end

  int64_t sequences() const { return static_cast<int64_t>(query_offsets.size()) - 1; }
  int64_t queries(int64_t s) const { return query_offsets[s + 1] - query_offsets[s]; }
  int64_t keys(int64_t s) const { return key_offsets[s + 1] - key_offsets[s]; }
  int64_t weights() const { return first_weight.back(); }
  double scale() const { return 1 / std::sqrt(static_cast<double>(depth)); }

  /// Calls body(pair) for every pair.
  template <class Body>
  void for_each_pair(const Body& body) const {
    parallel_for(sequences() * heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t s = i / heads, h = i % heads;
        body(Pair{queries(s), keys(s), query_offsets[s] * width + h * depth, key_offsets[s] * width + h * depth,
                  first_weight[s] + h * queries(s) * keys(s)});
      }
    });
  }

  struct Pair {
    int64_t queries, keys;
    int64_t query_at, key_at, weight_at;  // where its rows and its weights begin
    int64_t size() const { return queries * keys; }
  };
};
using Pair = Ragged::Pair;

void check_offsets(const Offsets& offsets, int64_t tokens, const char* which) {
  const bool covers = !offsets.empty() && offsets.front() == 0 && offsets.back() == tokens &&
                      std::is_sorted(offsets.begin(), offsets.end());
  if (covers) return;
  throw ValueError(fmt::format("attention: {} offsets must rise from 0 to the {} tokens; got {} of them, last {}", which,
                               tokens, offsets.size(), offsets.empty() ? -1 : offsets.back()));
}

Ragged check(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& query_offsets,
             const Offsets& key_offsets, int64_t heads) {
  check_same_dtype(q, k, "attention");
  check_same_dtype(q, v, "attention");
  if (q.dim() != 2 || k.dim() != 2 || q.size(1) != k.size(1) || v.shape() != k.shape()) {
    throw ShapeError(fmt::format("attention: q {}, k {}, v {}; needs [queries, width], [keys, width], [keys, width]",
                                 to_string(q.shape()), to_string(k.shape()), to_string(v.shape())));
  }
  if (heads < 1 || q.size(1) < 1 || q.size(1) % heads != 0) {
    throw ValueError(fmt::format("attention: width {} is not a multiple of {} heads", q.size(1), heads));
  }
  check_offsets(query_offsets, q.size(0), "query");
  check_offsets(key_offsets, k.size(0), "key");
  if (query_offsets.size() != key_offsets.size()) {
    throw ValueError(fmt::format("attention: {} sequences of queries and {} of keys", query_offsets.size() - 1,
                                 key_offsets.size() - 1));
  }
  Ragged ragged{query_offsets, key_offsets, heads, q.size(1), q.size(1) / heads, {0}};
  for (int64_t s = 0; s < ragged.sequences(); ++s) {
    if (ragged.queries(s) > 0 && ragged.keys(s) == 0) {
      throw ValueError(fmt::format("attention: sequence {} has queries but no keys", s));
    }
    ragged.first_weight.push_back(ragged.first_weight.back() + heads * ragged.queries(s) * ragged.keys(s));
  }
  return ragged;
}

// out = weights where kept, scaled; else 0.
template <class T>
void drop(int64_t n, const uint8_t* keep, T factor, const T* weights, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = keep[i] ? weights[i] * factor : T(0);
}

template <class T>
T* scratch_of(int64_t elements) {
  thread_local std::vector<T> scratch;
  scratch.resize(static_cast<size_t>(elements));
  return scratch.data();
}

template <class T>
struct Forward {
  const Ragged& ragged;
  const T *q, *k, *v;
  const uint8_t* keep;  // null without dropout
  T factor;
  T* weights;  // null when backward will not need them
  T* out;

  void pair(const Pair& a) const {
    const int64_t d = ragged.depth, w = ragged.width;
    T* const scores = scratch_of<T>(2 * a.size());
    T* prob = weights != nullptr ? weights + a.weight_at : scores;
    gemm_serial<T>(Trans::no, Trans::yes, a.queries, a.keys, d, q + a.query_at, w, k + a.key_at, w, scores, a.keys);
    for (int64_t i = 0; i < a.queries; ++i) {
      kernels::kernels<T>().softmax(a.keys, static_cast<T>(ragged.scale()), scores + i * a.keys, prob + i * a.keys);
    }
    if (keep != nullptr) {
      T* const dropped = scores + a.size();
      drop(a.size(), keep + a.weight_at, factor, prob, dropped);
      prob = dropped;
    }
    gemm_serial<T>(Trans::no, Trans::no, a.queries, d, a.keys, prob, a.keys, v + a.key_at, w, out + a.query_at, w);
  }
};

template <class T>
struct Backward {
  const Ragged& ragged;
  const T *q, *k, *v, *weights, *dy;
  const uint8_t* keep;  // null without dropout
  T factor;
  T *dq, *dk, *dv;  // null where not wanted
  bool add_q, add_k, add_v;

  void pair(const Pair& a) const {
    const int64_t d = ragged.depth, w = ragged.width;
    const T* p = weights + a.weight_at;
    T* const dp = scratch_of<T>(2 * a.size());
    // In the order of the inputs: when two are the same tensor, the first to come overwrites and the next ones add.
    if (dq != nullptr || dk != nullptr) through_scores(a, dp);
    if (dv == nullptr) return;
    T* const dropped = dp + a.size();
    if (keep != nullptr) drop(a.size(), keep + a.weight_at, factor, p, dropped);
    gemm_serial<T>(Trans::yes, Trans::no, a.keys, d, a.queries, keep != nullptr ? dropped : p, a.keys,
                   dy + a.query_at, w, dv + a.key_at, w, nullptr, add_v);
  }

  // dp is queries×keys scratch.
  void through_scores(const Pair& a, T* dp) const {
    const int64_t d = ragged.depth, w = ragged.width;
    const T* p = weights + a.weight_at;
    gemm_serial<T>(Trans::no, Trans::yes, a.queries, a.keys, d, dy + a.query_at, w, v + a.key_at, w, dp, a.keys);
    if (keep != nullptr) drop(a.size(), keep + a.weight_at, factor, dp, dp);
    // Through softmax: ds = p ∘ (dp − Σ dp∘p), and the scale that q·k was multiplied by.
    const T scale = static_cast<T>(ragged.scale());
    for (int64_t i = 0; i < a.queries; ++i) {
      T* row = dp + i * a.keys;
      const T* pi = p + i * a.keys;
      const T inner = kernels::kernels<T>().dot(a.keys, pi, row);
      for (int64_t j = 0; j < a.keys; ++j) row[j] = scale * pi[j] * (row[j] - inner);
    }
    if (dq != nullptr) {
      gemm_serial<T>(Trans::no, Trans::no, a.queries, d, a.keys, dp, a.keys, k + a.key_at, w, dq + a.query_at, w,
                     nullptr, add_q);
    }
    if (dk != nullptr) {
      gemm_serial<T>(Trans::yes, Trans::no, a.keys, d, a.queries, dp, a.keys, q + a.query_at, w, dk + a.key_at, w,
                     nullptr, add_k);
    }
  }
};

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets, int64_t heads, double p,
                 Generator* rng) {
  return attention(q, k, v, offsets, offsets, heads, p, rng);
}

Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value, const Offsets& query_offsets,
                 const Offsets& key_offsets, int64_t heads, double p, Generator* rng) {
  const Ragged ragged = check(query, key, value, query_offsets, key_offsets, heads);
  check_dropout(p, "attention");
  const Tensor q = query.contiguous(), k = key.contiguous(), v = value.contiguous();
  const bool dropping = rng != nullptr && p > 0;
  const bool keep_weights = recording({query, key, value});
  const Tensor weights = Tensor::empty({keep_weights ? ragged.weights() : 0}, q.dtype());
  const Tensor mask = dropping ? keep_mask(ragged.weights(), p, *rng) : Tensor::empty({0}, DType::u8);
  const double factor = dropping ? 1 / (1 - p) : 1;
  Tensor y = Tensor::empty(q.shape(), q.dtype());
  dispatch_floating(q.dtype(), "attention", [&](auto zero) {
    using T = decltype(zero);
    const Forward<T> forward{.ragged = ragged,
                             .q = q.data<T>(),
                             .k = k.data<T>(),
                             .v = v.data<T>(),
                             .keep = dropping ? mask.data<uint8_t>() : nullptr,
                             .factor = static_cast<T>(factor),
                             .weights = keep_weights ? weights.data<T>() : nullptr,
                             .out = y.data<T>()};
    ragged.for_each_pair([&](const Pair& pair) { forward.pair(pair); });
  });
  if (keep_weights) {
    record("attention", y, {query, key, value},
           [ragged, weights, mask, dropping, factor, q = Saved(q), k = Saved(k), v = Saved(v)](const Tensor& dy,
                                                                                              GradSink& grad) {
             GradSink::Target targets[3] = {};
             for (size_t i = 0; i < 3; ++i) {
               if (grad.needs(i)) targets[i] = grad.target(i);
             }
             dispatch_floating(dy.dtype(), "attention", [&](auto zero) {
               using T = decltype(zero);
               const auto into = [&](size_t i) { return grad.needs(i) ? targets[i].tensor.data<T>() : nullptr; };
               const Backward<T> backward{.ragged = ragged,
                                          .q = q.get(grad).data<T>(),
                                          .k = k.get(grad).data<T>(),
                                          .v = v.get(grad).data<T>(),
                                          .weights = weights.data<T>(),
                                          .dy = dy.data<T>(),
                                          .keep = dropping ? mask.data<uint8_t>() : nullptr,
                                          .factor = static_cast<T>(factor),
                                          .dq = into(0),
                                          .dk = into(1),
                                          .dv = into(2),
                                          .add_q = targets[0].accumulate,
                                          .add_k = targets[1].accumulate,
                                          .add_v = targets[2].accumulate};
               ragged.for_each_pair([&](const Pair& pair) { backward.pair(pair); });
             });
           });
  }
  return y;
}

}  // namespace qing
