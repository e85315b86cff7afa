// Scaled dot-product attention over a ragged batch. Every (sequence, head) pair is a task of its own, computed by one
// thread in tiles that begin where the sequence does: hence neither the rest of the batch nor the number of threads
// changes a bit.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/attention.h>
#include <qing/autograd/ops/attention_detail.h>
#include <qing/autograd/ops/attention_graph.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/elementwise.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// The geometry shared by forward and backward.
struct Ragged {
  Offsets query_offsets, key_offsets;
  int64_t heads, width, depth;
  bool causal;
  std::vector<int64_t> first_tile;  // of each sequence, its heads' tiles of weights end to end

  int64_t sequences() const { return static_cast<int64_t>(query_offsets.size()) - 1; }
  int64_t queries(int64_t s) const { return query_offsets[s + 1] - query_offsets[s]; }
  int64_t keys(int64_t s) const { return key_offsets[s + 1] - key_offsets[s]; }
  double scale() const { return 1 / std::sqrt(static_cast<double>(depth)); }

  /// Calls body(pair, scratch) for every pair, with a thread's memory for the kernels.
  template <class T, class Body>
  void for_each_pair(const Body& body) const {
    parallel_for(sequences() * heads, 1, [&](int64_t begin, int64_t end) {
      const Tensor scratch = attention_scratch(depth, depth, dtype_of<T>);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t s = i / heads, h = i % heads;
        body(Pair{queries(s), keys(s), query_offsets[s] * width + h * depth, key_offsets[s] * width + h * depth,
                  query_offsets[s] * heads + h * queries(s),
                  first_tile[s] + h * attention_tiles(queries(s), keys(s))},
             scratch.data<T>());
      }
    });
  }

  struct Pair {
    int64_t queries, keys;
    int64_t query_at, key_at, sums_at;  // where its rows and its sums begin
    int64_t first_tile;
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
             const Offsets& key_offsets, int64_t heads, bool causal) {
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
  Ragged ragged{query_offsets, key_offsets, heads, q.size(1), q.size(1) / heads, causal, {0}};
  for (int64_t s = 0; s < ragged.sequences(); ++s) {
    if (ragged.queries(s) > 0 && ragged.keys(s) == 0) {
      throw ValueError(fmt::format("attention: sequence {} has queries but no keys", s));
    }
    if (causal && ragged.queries(s) > ragged.keys(s)) {
      throw ValueError(fmt::format("attention: sequence {} has {} queries for {} keys; causal, some would see none",
                                   s, ragged.queries(s), ragged.keys(s)));
    }
    ragged.first_tile.push_back(ragged.first_tile.back() + heads * attention_tiles(ragged.queries(s), ragged.keys(s)));
  }
  return ragged;
}

// The operands as raw pointers. `sums` is [2, tokens·heads].
template <class T>
struct Operands {
  const Ragged& ragged;
  const AttentionDropout& dropout;
  const T *q, *k, *v;
  T* sums;

  kernels::AttentionHead<T> head(const Pair& a) const {
    return {.queries = a.queries,
            .keys = a.keys,
            .depth = ragged.depth,
            .value_depth = ragged.depth,
            .scale = static_cast<T>(ragged.scale()),
            .q = {q + a.query_at, ragged.width},
            .k = {k + a.key_at, ragged.width},
            .v = {v + a.key_at, ragged.width},
            .causal = ragged.causal,
            .first_query = a.keys - a.queries,
            .dropout = dropout.from_tile(a.first_tile),
            .factor = static_cast<T>(dropout.factor)};
  }
  kernels::SoftmaxSums<T> sums_of(const Pair& a) const {
    return {sums + a.sums_at, sums + ragged.query_offsets.back() * ragged.heads + a.sums_at};
  }
};

template <class T>
void run_backward(const Operands<T>& operands, const Tensor& y, const Tensor& dy, const AttentionTargets& targets) {
  const int64_t width = operands.ragged.width;
  const auto rows = [&](size_t i, int64_t at) -> kernels::MatrixRows<T> {
    if (!targets.defined(i)) return {};
    return {targets[i].tensor.data<T>() + at, width};
  };
  operands.ragged.template for_each_pair<T>([&](const Pair& a, T* scratch) {
    const kernels::AttentionGradients<T> gradients{.y = {y.data<T>() + a.query_at, width},
                                                   .dy = {dy.data<T>() + a.query_at, width},
                                                   .dq = rows(0, a.query_at),
                                                   .dk = rows(1, a.key_at),
                                                   .dv = rows(2, a.key_at),
                                                   .add_q = targets[0].accumulate,
                                                   .add_k = targets[1].accumulate,
                                                   .add_v = targets[2].accumulate,
                                                   .dmask = nullptr};
    kernels::kernels<T>().attention_backward(operands.head(a), operands.sums_of(a), gradients, scratch);
  });
}

// Sequence by sequence, of differentiable operations.
void run_backward_graph(const Ragged& ragged, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionDropout& dropout,
                        const Tensor& dy, GradSink& grad) {
  if (ragged.sequences() == 0) return;  // no rows at all
  std::array<std::vector<Tensor>, 3> parts;
  for (int64_t s = 0; s < ragged.sequences(); ++s) {
    const int64_t queries = ragged.queries(s), keys = ragged.keys(s);
    // [rows, heads·depth] as [heads, rows, depth], and back.
    const auto apart = [&](const Tensor& x, const Offsets& offsets) {
      const Tensor rows = slice(x, 0, offsets[s], offsets[s + 1]);
      return transpose(reshape(rows, {rows.size(0), ragged.heads, ragged.depth}), 0, 1);
    };
    const auto together = [&](const Tensor& x) { return reshape(transpose(x, 0, 1), {x.size(1), ragged.width}); };
    AttentionGraph graph{.q = apart(q, ragged.query_offsets),
                         .k = apart(k, ragged.key_offsets),
                         .v = apart(v, ragged.key_offsets),
                         .scale = ragged.scale()};
    if (ragged.causal) graph.hidden = causal_hidden(queries, keys, keys - queries);
    if (dropout.active()) graph.kept = dropout.factors(ragged.first_tile[s], ragged.heads, queries, keys, q.dtype());
    const AttentionGradients found = graph.backward(apart(dy, ragged.query_offsets));
    parts[0].push_back(together(found.q));
    parts[1].push_back(together(found.k));
    parts[2].push_back(together(found.v));
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    if (grad.needs(i)) grad.add(i, cat(parts[i]));
  }
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets, int64_t heads, double p,
                 Generator* rng, bool causal) {
  return attention(q, k, v, offsets, offsets, heads, p, rng, causal);
}

Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value, const Offsets& query_offsets,
                 const Offsets& key_offsets, int64_t heads, double p, Generator* rng, bool causal) {
  const Ragged ragged = check(query, key, value, query_offsets, key_offsets, heads, causal);
  check_dropout(p, "attention");
  const Tensor q = query.contiguous(), k = key.contiguous(), v = value.contiguous();
  const AttentionDropout dropout(p, rng);
  const Tensor sums = Tensor::empty({2, q.size(0) * heads}, q.dtype());
  Tensor y = Tensor::empty(q.shape(), q.dtype());
  dispatch_floating(q.dtype(), "attention", [&](auto zero) {
    using T = decltype(zero);
    const Operands<T> operands{ragged, dropout, q.data<T>(), k.data<T>(), v.data<T>(), sums.data<T>()};
    T* const out = y.data<T>();
    ragged.for_each_pair<T>([&](const Pair& a, T* scratch) {
      kernels::kernels<T>().attention_forward(operands.head(a), operands.sums_of(a), {out + a.query_at, ragged.width},
                                              scratch);
    });
  });
  if (recording({query, key, value})) {
    record("attention", y, {query, key, value},
           [ragged, dropout, sums, q = Saved(q), k = Saved(k), v = Saved(v), y = Saved(y)](const Tensor& dy,
                                                                                          GradSink& grad) {
             if (grad.create_graph()) {
               return run_backward_graph(ragged, grad.input(0, q), grad.input(1, k), grad.input(2, v), dropout, dy, grad);
             }
             const AttentionTargets targets(grad);
             dispatch_floating(dy.dtype(), "attention", [&](auto zero) {
               using T = decltype(zero);
               const Operands<T> operands{ragged,
                                          dropout,
                                          q.get(grad).data<T>(),
                                          k.get(grad).data<T>(),
                                          v.get(grad).data<T>(),
                                          sums.data<T>()};
               run_backward(operands, y.get(grad), dy, targets);
             });
             targets.finish(grad);
           });
  }
  return y;
}

}  // namespace qing
