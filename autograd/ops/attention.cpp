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

// The geometry shared by forward and backward. Weights of pair (s, h) are len×len, pairs end to end.
struct Ragged {
  Offsets offsets;
  int64_t heads, width, depth;
  std::vector<int64_t> first_weight;  // of each sequence, heads·len² apart

  int64_t sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t length(int64_t s) const { return offsets[s + 1] - offsets[s]; }
  int64_t weights() const { return first_weight.back(); }
  double scale() const { return 1 / std::sqrt(static_cast<double>(depth)); }

  /// Calls body(len, at, weight_at) for every pair: where its rows and its weights begin.
  template <class Body>
  void for_each_pair(const Body& body) const {
    parallel_for(sequences() * heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t pair = begin; pair < end; ++pair) {
        const int64_t s = pair / heads, h = pair % heads, len = length(s);
        if (len > 0) body(len, offsets[s] * width + h * depth, first_weight[s] + h * len * len);
      }
    });
  }
};

Ragged check(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets, int64_t heads) {
  check_same_dtype(q, k, "attention");
  check_same_dtype(q, v, "attention");
  if (q.dim() != 2 || k.shape() != q.shape() || v.shape() != q.shape()) {
    throw ShapeError(fmt::format("attention: q {}, k {}, v {}; all are [tokens, width]", to_string(q.shape()),
                                 to_string(k.shape()), to_string(v.shape())));
  }
  if (heads < 1 || q.size(1) < 1 || q.size(1) % heads != 0) {
    throw ValueError(fmt::format("attention: width {} is not a multiple of {} heads", q.size(1), heads));
  }
  const bool covers = !offsets.empty() && offsets.front() == 0 && offsets.back() == q.size(0) &&
                      std::is_sorted(offsets.begin(), offsets.end());
  if (!covers) {
    throw ValueError(fmt::format("attention: offsets must rise from 0 to the {} tokens; got {} of them, last {}",
                                 q.size(0), offsets.size(), offsets.empty() ? -1 : offsets.back()));
  }
  Ragged ragged{offsets, heads, q.size(1), q.size(1) / heads, {0}};
  for (int64_t s = 0; s < ragged.sequences(); ++s) {
    ragged.first_weight.push_back(ragged.first_weight.back() + heads * ragged.length(s) * ragged.length(s));
  }
  return ragged;
}

// out = weights where kept, scaled; else 0.
template <class T>
void drop(int64_t n, const uint8_t* keep, T factor, const T* weights, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = keep[i] ? weights[i] * factor : T(0);
}

template <class T>
struct Backward {
  const Ragged& ragged;
  const T *q, *k, *v, *weights, *dy;
  const uint8_t* keep;  // null without dropout
  T factor;
  T *dq, *dk, *dv;  // null where not wanted
  bool add_q, add_k, add_v;

  void pair(int64_t len, int64_t at, int64_t weight_at) const {
    const int64_t d = ragged.depth, w = ragged.width, n = len * len;
    const T* p = weights + weight_at;
    thread_local std::vector<T> scratch;
    scratch.resize(static_cast<size_t>(2 * n));
    T* dropped = scratch.data();
    T* dp = scratch.data() + n;
    // In the order of the inputs: when two are the same tensor, the first to come overwrites and the next ones add.
    if (dq != nullptr || dk != nullptr) through_scores(len, at, weight_at, dp);
    if (dv == nullptr) return;
    if (keep != nullptr) drop(n, keep + weight_at, factor, p, dropped);
    gemm_serial<T>(Trans::yes, Trans::no, len, d, len, keep != nullptr ? dropped : p, len, dy + at, w, dv + at, w,
                   nullptr, add_v);
  }

  // dp is len×len scratch.
  void through_scores(int64_t len, int64_t at, int64_t weight_at, T* dp) const {
    const int64_t d = ragged.depth, w = ragged.width;
    const T* p = weights + weight_at;
    gemm_serial<T>(Trans::no, Trans::yes, len, len, d, dy + at, w, v + at, w, dp, len);
    if (keep != nullptr) drop(len * len, keep + weight_at, factor, dp, dp);
    // Through softmax: ds = p ∘ (dp − Σ dp∘p), and the scale that q·k was multiplied by.
    const T scale = static_cast<T>(ragged.scale());
    for (int64_t i = 0; i < len; ++i) {
      T* row = dp + i * len;
      const T* pi = p + i * len;
      const T inner = kernels::kernels<T>().dot(len, pi, row);
      for (int64_t j = 0; j < len; ++j) row[j] = scale * pi[j] * (row[j] - inner);
    }
    if (dq != nullptr) {
      gemm_serial<T>(Trans::no, Trans::no, len, d, len, dp, len, k + at, w, dq + at, w, nullptr, add_q);
    }
    if (dk != nullptr) {
      gemm_serial<T>(Trans::yes, Trans::no, len, d, len, dp, len, q + at, w, dk + at, w, nullptr, add_k);
    }
  }
};

}  // namespace

Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value, const Offsets& offsets, int64_t heads,
                 double p, Generator* rng) {
  const Ragged ragged = check(query, key, value, offsets, heads);
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
    const T *qs = q.data<T>(), *ks = k.data<T>(), *vs = v.data<T>();
    const uint8_t* keep = mask.data<uint8_t>();
    T* out = y.data<T>();
    T* kept = weights.data<T>();
    const int64_t w = ragged.width, d = ragged.depth;
    ragged.for_each_pair([&](int64_t len, int64_t at, int64_t weight_at) {
      thread_local std::vector<T> scratch;
      scratch.resize(static_cast<size_t>(2 * len * len));
      T* scores = scratch.data();
      T* prob = keep_weights ? kept + weight_at : scores;
      gemm_serial<T>(Trans::no, Trans::yes, len, len, d, qs + at, w, ks + at, w, scores, len);
      for (int64_t i = 0; i < len; ++i) {
        kernels::kernels<T>().softmax(len, static_cast<T>(ragged.scale()), scores + i * len, prob + i * len);
      }
      if (dropping) {
        T* dropped = scratch.data() + len * len;
        drop(len * len, keep + weight_at, static_cast<T>(factor), prob, dropped);
        prob = dropped;
      }
      gemm_serial<T>(Trans::no, Trans::no, len, d, len, prob, len, vs + at, w, out + at, w);
    });
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
               const Backward<T> backward{ragged,
                                          q.get(grad).data<T>(),
                                          k.get(grad).data<T>(),
                                          v.get(grad).data<T>(),
                                          weights.data<T>(),
                                          dy.data<T>(),
                                          dropping ? mask.data<uint8_t>() : nullptr,
                                          static_cast<T>(factor),
                                          into(0),
                                          into(1),
                                          into(2),
                                          targets[0].accumulate,
                                          targets[1].accumulate,
                                          targets[2].accumulate};
               ragged.for_each_pair([&](int64_t len, int64_t at, int64_t weight_at) {
                 backward.pair(len, at, weight_at);
               });
             });
           });
  }
  return y;
}

}  // namespace qing
