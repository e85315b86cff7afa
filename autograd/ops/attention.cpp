// Scaled dot-product attention over a ragged batch. Every pair of a sequence and a head is a separate task. One thread
// computes it, in tiles that begin at the start of the sequence. So no bit depends on the rest of the batch or on the
// number of threads.
#include <qing/autograd/ops/attention.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/attention_detail.h>
#include <qing/autograd/ops/attention_graph.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// The geometry shared by forward and backward.
struct Ragged {
  Offsets query_offsets, key_offsets;
  int64_t heads, width, depth;
  bool causal;
  std::vector<int64_t> first_tile;  // of each sequence; its heads' tiles of weights are consecutive

  int64_t sequences() const { return static_cast<int64_t>(query_offsets.size()) - 1; }
  int64_t queries(int64_t s) const { return query_offsets[s + 1] - query_offsets[s]; }
  int64_t keys(int64_t s) const { return key_offsets[s + 1] - key_offsets[s]; }
  double scale() const { return 1 / std::sqrt(static_cast<double>(depth)); }

  /// Calls body(pair, scratch) for every pair; scratch is the thread's memory for the kernels.
  template <class T, class Body> void for_each_pair(const Body& body) const {
    parallel_for(sequences() * heads, 1, [&](int64_t begin, int64_t end) {
      const Tensor scratch = attention_scratch(depth, depth, dtype_of<T>);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t s = i / heads, h = i % heads;
        body(Pair{queries(s), keys(s), query_offsets[s], key_offsets[s], h * depth,
                  query_offsets[s] * heads + h * queries(s), first_tile[s] + h * attention_tiles(queries(s), keys(s))},
             scratch.data<T>());
      }
    });
  }

  struct Pair {
    int64_t queries, keys;
    int64_t query_row, key_row, column, sums_at;  // where the pair's rows and sums begin
    int64_t first_tile;
  };
};
using Pair = Ragged::Pair;
using kernels::MatrixRows;

// The place of q, k or v: columns of one of the operation's inputs, from `column` on.
struct Place {
  size_t input;
  int64_t column;
};
using Places = std::array<Place, 3>;

void check_offsets(const Offsets& offsets, int64_t tokens, const char* which) {
  const bool covers = !offsets.empty() && offsets.front() == 0 && offsets.back() == tokens &&
                      std::is_sorted(offsets.begin(), offsets.end());
  if (covers) return;
  throw ValueError(fmt::format("attention: {} offsets must rise from 0 to the {} tokens; got {} of them, last {}",
                               which, tokens, offsets.size(), offsets.empty() ? -1 : offsets.back()));
}

Ragged check(int64_t queries, int64_t keys, int64_t width, const Offsets& query_offsets, const Offsets& key_offsets,
             int64_t heads, bool causal) {
  if (heads < 1 || width < 1 || width % heads != 0) {
    throw ValueError(fmt::format("attention: width {} is not a multiple of {} heads", width, heads));
  }
  check_offsets(query_offsets, queries, "query");
  check_offsets(key_offsets, keys, "key");
  if (query_offsets.size() != key_offsets.size()) {
    throw ValueError(fmt::format("attention: {} sequences of queries and {} of keys", query_offsets.size() - 1,
                                 key_offsets.size() - 1));
  }
  Ragged ragged{query_offsets, key_offsets, heads, width, width / heads, causal, {0}};
  for (int64_t s = 0; s < ragged.sequences(); ++s) {
    if (ragged.queries(s) > 0 && ragged.keys(s) == 0) {
      throw ValueError(fmt::format("attention: sequence {} has queries but no keys", s));
    }
    if (causal && ragged.queries(s) > ragged.keys(s)) {
      throw ValueError(fmt::format("attention: sequence {} has {} queries for {} keys; causal, some would see none", s,
                                   ragged.queries(s), ragged.keys(s)));
    }
    ragged.first_tile.push_back(ragged.first_tile.back() + heads * attention_tiles(ragged.queries(s), ragged.keys(s)));
  }
  return ragged;
}

// The rows of q, k and v in contiguous inputs.
template <class T> MatrixRows<const T> rows_of(const Tensor& x, int64_t column) {
  return {x.data<T>() + column, x.size(1)};
}

// The rows of a pair, from `row` on.
template <class T> MatrixRows<T> from(MatrixRows<T> all, int64_t row, int64_t column) {
  if (all.data == nullptr) return all;
  return {all.data + row * all.step + column, all.step};
}

// The operands as raw pointers. `sums` is [2, tokens·heads].
template <class T> struct Operands {
  const Ragged& ragged;
  const AttentionDropout& dropout;
  std::array<MatrixRows<const T>, 3> qkv;
  T* sums;

  kernels::AttentionHead<T> head(const Pair& a) const {
    return {.queries = a.queries,
            .keys = a.keys,
            .depth = ragged.depth,
            .value_depth = ragged.depth,
            .scale = static_cast<T>(ragged.scale()),
            .q = from(qkv[0], a.query_row, a.column),
            .k = from(qkv[1], a.key_row, a.column),
            .v = from(qkv[2], a.key_row, a.column),
            .causal = ragged.causal,
            .first_query = a.keys - a.queries,
            .dropout = dropout.from_tile(a.first_tile),
            .factor = static_cast<T>(dropout.factor)};
  }
  kernels::SoftmaxSums<T> sums_of(const Pair& a) const {
    return {sums + a.sums_at, sums + ragged.query_offsets.back() * ragged.heads + a.sums_at};
  }
};

// The targets of the gradients of q, k and v.
template <class T> struct Gradients {
  std::array<MatrixRows<T>, 3> rows = {};
  std::array<bool, 3> accumulate = {};

  void set(size_t i, const GradSink::Target& target, int64_t column) {
    if (!target.tensor.defined()) return;
    rows[i] = {target.tensor.data<T>() + column, target.tensor.size(1)};
    accumulate[i] = target.accumulate;
  }
};

template <class T>
void run_backward(const Operands<T>& operands, const Tensor& y, const Tensor& dy, const Gradients<T>& to) {
  const MatrixRows<const T> out = rows_of<T>(y, 0), upstream = rows_of<T>(dy, 0);
  operands.ragged.template for_each_pair<T>([&](const Pair& a, T* scratch) {
    const kernels::AttentionGradients<T> gradients{.y = from(out, a.query_row, a.column),
                                                   .dy = from(upstream, a.query_row, a.column),
                                                   .dq = from(to.rows[0], a.query_row, a.column),
                                                   .dk = from(to.rows[1], a.key_row, a.column),
                                                   .dv = from(to.rows[2], a.key_row, a.column),
                                                   .add_q = to.accumulate[0],
                                                   .add_k = to.accumulate[1],
                                                   .add_v = to.accumulate[2],
                                                   .dmask = nullptr};
    kernels::kernels<T>().attention_backward(operands.head(a), operands.sums_of(a), gradients, scratch);
  });
}

// The backward in differentiable operations, one sequence at a time. `inputs` are part of the graph.
void run_backward_graph(const Ragged& ragged, const std::vector<Tensor>& inputs, const Places& places,
                        const AttentionDropout& dropout, const Tensor& dy, GradSink& grad) {
  if (ragged.sequences() == 0) return;  // no rows at all
  std::array<Tensor, 3> qkv;
  for (size_t i = 0; i < qkv.size(); ++i) {
    qkv[i] = slice(inputs[places[i].input], 1, places[i].column, places[i].column + ragged.width);
  }
  std::array<std::vector<Tensor>, 3> parts;
  for (int64_t s = 0; s < ragged.sequences(); ++s) {
    const int64_t queries = ragged.queries(s), keys = ragged.keys(s);
    // [rows, heads·depth] as [heads, rows, depth], and back.
    const auto apart = [&](const Tensor& x, const Offsets& offsets) {
      const Tensor rows = slice(x, 0, offsets[s], offsets[s + 1]);
      return transpose(reshape(rows, {rows.size(0), ragged.heads, ragged.depth}), 0, 1);
    };
    const auto together = [&](const Tensor& x) { return reshape(transpose(x, 0, 1), {x.size(1), ragged.width}); };
    AttentionGraph graph{.q = apart(qkv[0], ragged.query_offsets),
                         .k = apart(qkv[1], ragged.key_offsets),
                         .v = apart(qkv[2], ragged.key_offsets),
                         .scale = ragged.scale()};
    if (ragged.causal) graph.hidden = causal_hidden(queries, keys, keys - queries);
    if (dropout.active()) graph.kept = dropout.factors(ragged.first_tile[s], ragged.heads, queries, keys, dy.dtype());
    const AttentionGradients found = graph.backward(apart(dy, ragged.query_offsets));
    parts[0].push_back(together(found.q));
    parts[1].push_back(together(found.k));
    parts[2].push_back(together(found.v));
  }
  for (size_t input = 0; input < inputs.size(); ++input) {
    std::vector<Tensor> columns;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (places[i].input == input) columns.push_back(cat(parts[i]));
    }
    if (grad.needs(input)) grad.add(input, cat(columns, 1));
  }
}

template <class T>
Operands<T> operands_of(const Ragged& ragged, const AttentionDropout& dropout, const std::vector<Tensor>& inputs,
                        const Places& places, const Tensor& sums) {
  Operands<T> operands{ragged, dropout, {}, sums.data<T>()};
  for (size_t i = 0; i < places.size(); ++i) operands.qkv[i] = rows_of<T>(inputs[places[i].input], places[i].column);
  return operands;
}

Tensor run(const std::vector<Tensor>& given, const Places& places, const Ragged& ragged, double p, Generator* rng) {
  check_dropout(p, "attention");
  std::vector<Tensor> inputs;
  for (const Tensor& x : given) inputs.push_back(x.contiguous());
  const AttentionDropout dropout(p, rng);
  const DType dtype = given.front().dtype();
  const int64_t queries = ragged.query_offsets.back();
  const Tensor sums = Tensor::empty({2, queries * ragged.heads}, dtype);
  Tensor y = Tensor::empty({queries, ragged.width}, dtype);
  dispatch_floating(dtype, "attention", [&](auto zero) {
    using T = decltype(zero);
    const Operands<T> operands = operands_of<T>(ragged, dropout, inputs, places, sums);
    const MatrixRows<T> out{y.data<T>(), ragged.width};
    ragged.for_each_pair<T>([&](const Pair& a, T* scratch) {
      kernels::kernels<T>().attention_forward(operands.head(a), operands.sums_of(a), from(out, a.query_row, a.column),
                                              scratch);
    });
  });
  if (!recording(given)) return y;
  std::vector<Saved> saved(inputs.begin(), inputs.end());
  record("attention", y, given, [ragged, places, dropout, sums, saved, y = Saved(y)](const Tensor& dy, GradSink& grad) {
    std::vector<Tensor> in;
    for (size_t i = 0; i < saved.size(); ++i) in.push_back(grad.input(i, saved[i]));
    if (grad.create_graph()) return run_backward_graph(ragged, in, places, dropout, dy, grad);
    const bool apart = saved.size() == places.size();
    std::optional<AttentionTargets> targets;
    if (apart) targets.emplace(grad);
    std::vector<GradSink::Target> joined(apart ? 0 : saved.size());
    for (size_t i = 0; i < joined.size(); ++i) {
      if (grad.needs(i)) joined[i] = grad.target(i);
    }
    dispatch_floating(dy.dtype(), "attention", [&](auto zero) {
      using T = decltype(zero);
      Gradients<T> to;
      for (size_t i = 0; i < places.size(); ++i) {
        to.set(i, apart ? (*targets)[i] : joined[places[i].input], places[i].column);
      }
      run_backward(operands_of<T>(ragged, dropout, in, places, sums), y.get(grad), dy, to);
    });
    if (apart) targets->finish(grad);
  });
  return y;
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets, int64_t heads, double p,
                 Generator* rng, bool causal) {
  return attention(q, k, v, offsets, offsets, heads, p, rng, causal);
}

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& query_offsets,
                 const Offsets& key_offsets, int64_t heads, double p, Generator* rng, bool causal) {
  check_same_dtype(q, k, "attention");
  check_same_dtype(q, v, "attention");
  if (q.dim() != 2 || k.dim() != 2 || q.size(1) != k.size(1) || v.shape() != k.shape()) {
    throw ShapeError(fmt::format("attention: q {}, k {}, v {}; needs [queries, width], [keys, width], [keys, width]",
                                 to_string(q.shape()), to_string(k.shape()), to_string(v.shape())));
  }
  return run({q, k, v}, {{{0, 0}, {1, 0}, {2, 0}}},
             check(q.size(0), k.size(0), q.size(1), query_offsets, key_offsets, heads, causal), p, rng);
}

Tensor attention_qkv_packed(const Tensor& qkv, const Offsets& offsets, int64_t heads, double p, Generator* rng,
                            bool causal) {
  if (qkv.dim() != 2 || qkv.size(1) % 3 != 0) {
    throw ShapeError(fmt::format("attention_qkv_packed: qkv {}; needs [tokens, 3·width]", to_string(qkv.shape())));
  }
  const int64_t width = qkv.size(1) / 3;
  return run({qkv}, {{{0, 0}, {0, width}, {0, 2 * width}}},
             check(qkv.size(0), qkv.size(0), width, offsets, offsets, heads, causal), p, rng);
}

Tensor attention_kv_packed(const Tensor& q, const Tensor& kv, const Offsets& query_offsets, const Offsets& key_offsets,
                           int64_t heads, double p, Generator* rng, bool causal) {
  check_same_dtype(q, kv, "attention_kv_packed");
  if (q.dim() != 2 || kv.dim() != 2 || kv.size(1) != 2 * q.size(1)) {
    throw ShapeError(fmt::format("attention_kv_packed: q {}, kv {}; needs [queries, width], [keys, 2·width]",
                                 to_string(q.shape()), to_string(kv.shape())));
  }
  const int64_t width = q.size(1);
  return run({q, kv}, {{{0, 0}, {1, 0}, {1, width}}},
             check(q.size(0), kv.size(0), width, query_offsets, key_offsets, heads, causal), p, rng);
}

}  // namespace qing
