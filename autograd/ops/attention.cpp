// Scaled dot-product attention over a ragged batch. Every pair of a sequence and a key head is a separate task. One
// thread computes it, in tiles that begin at the start of the sequence. So no bit depends on the rest of the batch or
// on the number of threads.
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
#include <qing/autograd/ops/indexing.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/rearrange.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// The geometry shared by forward and backward.
struct Ragged {
  Offsets query_offsets, key_offsets, first_queries;
  int64_t heads, key_heads, depth;
  bool causal;
  int64_t reach;                    // of relative_bias, whose rows have 2·reach − 1 columns; 0: there is none
  std::vector<int64_t> first_tile;  // of each sequence; its heads' tiles of weights are consecutive

  int64_t sequences() const { return static_cast<int64_t>(query_offsets.size()) - 1; }
  int64_t queries(int64_t s) const { return query_offsets[s + 1] - query_offsets[s]; }
  int64_t keys(int64_t s) const { return key_offsets[s + 1] - key_offsets[s]; }
  int64_t width() const { return heads * depth; }
  int64_t key_width() const { return key_heads * depth; }
  double scale() const { return 1 / std::sqrt(static_cast<double>(depth)); }
  /// The column of relative_bias for the first query of sequence s and its first key. Query i and key j have column
  /// bias_column(s) + j − i.
  int64_t bias_column(int64_t s) const { return reach - 1 - first_queries[s]; }

  struct Pair {
    int64_t sequence, head;
    int64_t queries, keys, first_query;
    int64_t query_row, key_row, column, key_column, sums_at;  // where the pair's rows and sums begin
    int64_t first_tile;
    bool first_of_group;  // no other query head has used the key head before
  };

  /// Calls body(pair, scratch) for every sequence and query head; scratch is the thread's memory for the kernels. The
  /// query heads that share a key head run in order on one thread.
  template <class T, class Body> void for_each_pair(const Body& body) const {
    const int64_t group = heads / key_heads, pairs = sequences() * key_heads;
    int64_t work = 0;
    for (int64_t s = 0; s < sequences() && work <= kParallelWork; ++s) work += 2 * queries(s) * keys(s) * width();
    parallel_for(pairs, work > kParallelWork ? 1 : std::max<int64_t>(1, pairs), [&](int64_t begin, int64_t end) {
      const Tensor scratch = attention_scratch(depth, depth, dtype_of<T>);
      for (int64_t i = begin * group; i < end * group; ++i) {
        const int64_t s = i / heads, h = i % heads;
        body(Pair{s, h, queries(s), keys(s), first_queries[s], query_offsets[s], key_offsets[s], h * depth,
                  h / group * depth, query_offsets[s] * heads + h * queries(s),
                  first_tile[s] + h * attention_tiles(queries(s), keys(s)), h % group == 0},
             scratch.data<T>());
      }
    });
  }
};
using Pair = Ragged::Pair;
using kernels::MatrixRows;

// The place of q, k or v: columns of one of the operation's inputs, from `column` on.
struct Place {
  size_t input;
  int64_t column;
};
using Places = std::array<Place, 3>;

size_t inputs_of(const Places& places) { return places.back().input + 1; }  // without the bias, which comes last

void check_offsets(const Offsets& offsets, int64_t tokens, const char* which) {
  const bool covers = !offsets.empty() && offsets.front() == 0 && offsets.back() == tokens &&
                      std::is_sorted(offsets.begin(), offsets.end());
  if (covers) return;
  throw ValueError(fmt::format("attention: {} offsets must rise from 0 to the {} tokens; got {} of them, last {}",
                               which, tokens, offsets.size(), offsets.empty() ? -1 : offsets.back()));
}

int64_t reach_of(const Tensor& bias, int64_t heads, DType dtype) {
  if (!bias.defined()) return 0;
  if (bias.dtype() != dtype) {
    throw DTypeError(
        fmt::format("attention: relative_bias is {}; needs q's {}", name_of(bias.dtype()), name_of(dtype)));
  }
  if (bias.dim() != 2 || bias.size(0) != heads || bias.size(1) % 2 != 1) {
    throw ShapeError(fmt::format("attention: relative_bias {}; needs [{}, 2·reach − 1], a row a head",
                                 to_string(bias.shape()), heads));
  }
  return (bias.size(1) + 1) / 2;
}

int64_t key_heads_of(const RaggedAttentionOptions& options) {
  return options.key_heads == 0 ? options.heads : options.key_heads;
}

// The width of keys and values for queries of this width.
int64_t key_width_of(int64_t width, const RaggedAttentionOptions& options) {
  const int64_t heads = options.heads, key_heads = key_heads_of(options);
  if (heads < 1 || width < 1 || width % heads != 0) {
    throw ValueError(fmt::format("attention: width {} is not a multiple of {} heads", width, heads));
  }
  if (key_heads < 1 || heads % key_heads != 0) {
    throw ValueError(fmt::format("attention: {} key heads; needs a divisor of the {} heads", key_heads, heads));
  }
  return width / heads * key_heads;
}

Ragged check(int64_t queries, int64_t keys, int64_t width, const Offsets& query_offsets, const Offsets& key_offsets,
             DType dtype, const RaggedAttentionOptions& options) {
  key_width_of(width, options);
  check_offsets(query_offsets, queries, "query");
  check_offsets(key_offsets, keys, "key");
  if (query_offsets.size() != key_offsets.size()) {
    throw ValueError(fmt::format("attention: {} sequences of queries and {} of keys", query_offsets.size() - 1,
                                 key_offsets.size() - 1));
  }
  Ragged ragged{query_offsets,
                key_offsets,
                options.first_queries,
                options.heads,
                key_heads_of(options),
                width / options.heads,
                options.causal,
                reach_of(options.relative_bias, options.heads, dtype),
                {0}};
  const bool positioned = !ragged.first_queries.empty();
  if (positioned && std::ssize(ragged.first_queries) != ragged.sequences()) {
    throw ValueError(fmt::format("attention: first_queries has {} entries; needs one for each of the {} sequences",
                                 ragged.first_queries.size(), ragged.sequences()));
  }
  for (int64_t s = 0; s < ragged.sequences(); ++s) {
    const int64_t queries_of = ragged.queries(s), keys_of = ragged.keys(s);
    if (queries_of > 0 && keys_of == 0) {
      throw ValueError(fmt::format("attention: sequence {} has queries but no keys", s));
    }
    if (options.causal && !positioned && queries_of > keys_of) {
      throw ValueError(fmt::format(
          "attention: sequence {} has {} queries for {} keys; with a causal mask some queries would see no key", s,
          queries_of, keys_of));
    }
    if (!positioned) ragged.first_queries.push_back(keys_of - queries_of);
    const int64_t first = ragged.first_queries[s];
    if (positioned && (first < 0 || first > keys_of - queries_of)) {
      throw ValueError(fmt::format("attention: sequence {}: the first of {} queries stands at {}; needs 0 to {}", s,
                                   queries_of, first, keys_of - queries_of));
    }
    if (ragged.reach > 0 && (std::max(keys_of, first + queries_of) > ragged.reach || (queries_of > 0 && first < 0))) {
      throw ShapeError(fmt::format("attention: sequence {} has {} queries and {} keys; relative_bias reaches {}", s,
                                   queries_of, keys_of, ragged.reach));
    }
    ragged.first_tile.push_back(ragged.first_tile.back() + options.heads * attention_tiles(queries_of, keys_of));
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

// The operands as raw pointers. `sums` is [2, tokens·heads], `bias` null or [heads, 2·reach − 1].
template <class T> struct Operands {
  const Ragged& ragged;
  const AttentionDropout& dropout;
  std::array<MatrixRows<const T>, 3> qkv;
  T* sums;
  const T* bias;

  kernels::AttentionHead<T> head(const Pair& a) const {
    return {.queries = a.queries,
            .keys = a.keys,
            .depth = ragged.depth,
            .value_depth = ragged.depth,
            .scale = static_cast<T>(ragged.scale()),
            .q = from(qkv[0], a.query_row, a.column),
            .k = from(qkv[1], a.key_row, a.key_column),
            .v = from(qkv[2], a.key_row, a.key_column),
            .causal = ragged.causal,
            .first_query = a.first_query,
            .mask = mask(a),
            .dropout = dropout.from_tile(a.first_tile),
            .factor = static_cast<T>(dropout.factor)};
  }
  // The matrix of biases is constant along its diagonals: a row is the one before, moved by a column.
  kernels::ScoreMask<T> mask(const Pair& a) const {
    if (bias == nullptr) return {};
    const int64_t at = a.head * (2 * ragged.reach - 1) + ragged.bias_column(a.sequence);
    return {.added = bias + at, .row = -1, .column = 1};
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

// Sums of dmask [queries, keys] along its diagonals: the gradient of a head's row of relative_bias, for one sequence.
template <class T> void add_diagonals(const Ragged& ragged, const Pair& a, const T* dmask, double* row) {
  for (int64_t i = 0; i < a.queries; ++i) {
    double* const first = row + ragged.bias_column(a.sequence) - i;
    for (int64_t j = 0; j < a.keys; ++j) first[j] += static_cast<double>(dmask[i * a.keys + j]);
  }
}

// dbias, if defined: f64 [sequences, heads, 2·reach − 1], zeros before.
template <class T>
void run_backward(const Operands<T>& operands, const Tensor& y, const Tensor& dy, const Gradients<T>& to,
                  const Tensor& dbias) {
  const MatrixRows<const T> out = rows_of<T>(y, 0), upstream = rows_of<T>(dy, 0);
  const Ragged& ragged = operands.ragged;
  ragged.template for_each_pair<T>([&](const Pair& a, T* scratch) {
    const Tensor dmask = dbias.defined() ? Tensor::zeros({a.queries, a.keys}, dtype_of<T>) : Tensor();
    const kernels::AttentionGradients<T> gradients{.y = from(out, a.query_row, a.column),
                                                   .dy = from(upstream, a.query_row, a.column),
                                                   .dq = from(to.rows[0], a.query_row, a.column),
                                                   .dk = from(to.rows[1], a.key_row, a.key_column),
                                                   .dv = from(to.rows[2], a.key_row, a.key_column),
                                                   .add_q = to.accumulate[0],
                                                   .add_k = to.accumulate[1] || !a.first_of_group,
                                                   .add_v = to.accumulate[2] || !a.first_of_group,
                                                   .dmask = dmask.defined() ? dmask.data<T>() : nullptr};
    kernels::kernels<T>().attention_backward(operands.head(a), operands.sums_of(a), gradients, scratch);
    if (!dmask.defined()) return;
    const int64_t row = (a.sequence * ragged.heads + a.head) * (2 * ragged.reach - 1);
    add_diagonals(ragged, a, dmask.data<T>(), dbias.data<double>() + row);
  });
}

// The columns of relative_bias for the scores of sequence s: i64 [queries·keys].
Tensor bias_columns(const Ragged& ragged, int64_t s) {
  Tensor columns = Tensor::empty({ragged.queries(s) * ragged.keys(s)}, DType::i64);
  int64_t* out = columns.data<int64_t>();
  for (int64_t i = 0; i < ragged.queries(s); ++i) {
    for (int64_t j = 0; j < ragged.keys(s); ++j) *out++ = ragged.bias_column(s) + j - i;
  }
  return columns;
}

// The backward in differentiable operations, one sequence at a time. `inputs` are part of the graph.
void run_backward_graph(const Ragged& ragged, const std::vector<Tensor>& inputs, const Places& places,
                        const AttentionDropout& dropout, const Tensor& dy, GradSink& grad) {
  if (ragged.sequences() == 0) return;  // no rows at all
  const int64_t group = ragged.heads / ragged.key_heads;
  std::array<Tensor, 3> qkv;
  for (size_t i = 0; i < qkv.size(); ++i) {
    const int64_t width = i == 0 ? ragged.width() : ragged.key_width();
    qkv[i] = slice(inputs[places[i].input], 1, places[i].column, places[i].column + width);
  }
  const Tensor bias = ragged.reach > 0 ? inputs.back() : Tensor();
  Tensor dbias = bias.defined() ? Tensor::zeros(bias.shape(), dy.dtype()) : Tensor();
  std::array<std::vector<Tensor>, 3> parts;
  for (int64_t s = 0; s < ragged.sequences(); ++s) {
    const int64_t queries = ragged.queries(s), keys = ragged.keys(s);
    // [rows, heads·depth] as [heads, rows, depth], and back. Heads of keys are repeated for the queries that share
    // them.
    const auto apart = [&](const Tensor& x, const Offsets& offsets) {
      const Tensor rows = slice(x, 0, offsets[s], offsets[s + 1]);
      return transpose(reshape(rows, {rows.size(0), x.size(1) / ragged.depth, ragged.depth}), 0, 1);
    };
    const auto repeated = [&](const Tensor& x) { return group == 1 ? x : repeat_interleave(x, group, 0); };
    const auto summed = [&](const Tensor& x) {
      return group == 1 ? x : sum(unflatten(x, 0, {ragged.key_heads, group}), {1});
    };
    const auto together = [&](const Tensor& x) {
      return reshape(transpose(x, 0, 1), {x.size(1), x.size(0) * ragged.depth});
    };
    AttentionGraph graph{.q = apart(qkv[0], ragged.query_offsets),
                         .k = repeated(apart(qkv[1], ragged.key_offsets)),
                         .v = repeated(apart(qkv[2], ragged.key_offsets)),
                         .scale = ragged.scale()};
    const Tensor columns = bias.defined() ? bias_columns(ragged, s) : Tensor();
    if (bias.defined()) graph.added = reshape(index_select(bias, 1, columns), {ragged.heads, queries, keys});
    if (ragged.causal) graph.hidden = causal_hidden(queries, keys, ragged.first_queries[s]);
    if (dropout.active()) graph.kept = dropout.factors(ragged.first_tile[s], ragged.heads, queries, keys, dy.dtype());
    const AttentionGradients found = graph.backward(apart(dy, ragged.query_offsets));
    parts[0].push_back(together(found.q));
    parts[1].push_back(together(summed(found.k)));
    parts[2].push_back(together(summed(found.v)));
    if (bias.defined()) dbias = index_add(dbias, 1, columns, reshape(found.scores, {ragged.heads, queries * keys}));
  }
  for (size_t input = 0; input < inputs_of(places); ++input) {
    std::vector<Tensor> columns;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (places[i].input == input) columns.push_back(cat(parts[i]));
    }
    if (grad.needs(input)) grad.add(input, cat(columns, 1));
  }
  if (bias.defined() && grad.needs(inputs_of(places))) grad.add(inputs_of(places), dbias);
}

template <class T>
Operands<T> operands_of(const Ragged& ragged, const AttentionDropout& dropout, const std::vector<Tensor>& inputs,
                        const Places& places, const Tensor& sums) {
  Operands<T> operands{ragged, dropout, {}, sums.data<T>(), ragged.reach > 0 ? inputs.back().data<T>() : nullptr};
  for (size_t i = 0; i < places.size(); ++i) operands.qkv[i] = rows_of<T>(inputs[places[i].input], places[i].column);
  return operands;
}

Tensor run(std::vector<Tensor> given, const Places& places, const Ragged& ragged,
           const RaggedAttentionOptions& options) {
  check_dropout(options.dropout_p, "attention");
  if (options.relative_bias.defined()) given.push_back(options.relative_bias);
  std::vector<Tensor> inputs;
  inputs.reserve(given.size());
  for (const Tensor& x : given) inputs.push_back(x.contiguous());
  const AttentionDropout dropout(options.dropout_p, options.rng);
  const DType dtype = given.front().dtype();
  const int64_t queries = ragged.query_offsets.back();
  const Tensor sums = Tensor::empty({2, queries * ragged.heads}, dtype);
  Tensor y = Tensor::empty({queries, ragged.width()}, dtype);
  dispatch_floating(dtype, "attention", [&](auto zero) {
    using T = decltype(zero);
    const Operands<T> operands = operands_of<T>(ragged, dropout, inputs, places, sums);
    const MatrixRows<T> out{y.data<T>(), ragged.width()};
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
    const size_t operands = inputs_of(places);
    const bool apart = operands == places.size();
    std::optional<AttentionTargets> targets;
    if (apart) targets.emplace(grad);
    std::vector<GradSink::Target> joined(apart ? 0 : operands);
    for (size_t i = 0; i < joined.size(); ++i) {
      if (grad.needs(i)) joined[i] = grad.target(i);
    }
    Tensor dbias;
    if (ragged.reach > 0 && grad.needs(operands)) {
      dbias = Tensor::zeros({ragged.sequences(), ragged.heads, 2 * ragged.reach - 1}, DType::f64);
    }
    dispatch_floating(dy.dtype(), "attention", [&](auto zero) {
      using T = decltype(zero);
      Gradients<T> to;
      for (size_t i = 0; i < places.size(); ++i) {
        to.set(i, apart ? (*targets)[i] : joined[places[i].input], places[i].column);
      }
      run_backward(operands_of<T>(ragged, dropout, in, places, sums), y.get(grad), dy, to, dbias);
    });
    if (apart) targets->finish(grad);
    if (dbias.defined()) grad.add(operands, sum(dbias, {0}).to(dy.dtype()));
  });
  return y;
}

}  // namespace

Tensor ragged_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& query_offsets,
                        const Offsets& key_offsets, const RaggedAttentionOptions& options) {
  check_same_dtype(q, k, "attention");
  check_same_dtype(q, v, "attention");
  const bool matrices = q.dim() == 2 && k.dim() == 2;
  if (!matrices || v.shape() != k.shape() || k.size(1) != key_width_of(q.size(1), options)) {
    throw ShapeError(fmt::format(
        "attention: q {}, k {}, v {}; needs [queries, heads·d], [keys, key_heads·d], [keys, key_heads·d] "
        "for {} heads and {} key heads",
        to_string(q.shape()), to_string(k.shape()), to_string(v.shape()), options.heads, key_heads_of(options)));
  }
  return run({q, k, v}, {{{0, 0}, {1, 0}, {2, 0}}},
             check(q.size(0), k.size(0), q.size(1), query_offsets, key_offsets, q.dtype(), options), options);
}

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets, int64_t heads, double p,
                 Generator* rng, bool causal) {
  return attention(q, k, v, offsets, offsets, heads, p, rng, causal);
}

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& query_offsets,
                 const Offsets& key_offsets, int64_t heads, double p, Generator* rng, bool causal) {
  return ragged_attention(q, k, v, query_offsets, key_offsets,
                          {.heads = heads, .causal = causal, .dropout_p = p, .rng = rng});
}

Tensor attention_qkv_packed(const Tensor& qkv, const Offsets& offsets, int64_t heads, double p, Generator* rng,
                            bool causal) {
  if (qkv.dim() != 2 || qkv.size(1) % 3 != 0) {
    throw ShapeError(fmt::format("attention_qkv_packed: qkv {}; needs [tokens, 3·width]", to_string(qkv.shape())));
  }
  const int64_t width = qkv.size(1) / 3;
  const RaggedAttentionOptions options{.heads = heads, .causal = causal, .dropout_p = p, .rng = rng};
  return run({qkv}, {{{0, 0}, {0, width}, {0, 2 * width}}},
             check(qkv.size(0), qkv.size(0), width, offsets, offsets, qkv.dtype(), options), options);
}

Tensor attention_kv_packed(const Tensor& q, const Tensor& kv, const Offsets& query_offsets, const Offsets& key_offsets,
                           int64_t heads, double p, Generator* rng, bool causal) {
  check_same_dtype(q, kv, "attention_kv_packed");
  if (q.dim() != 2 || kv.dim() != 2 || kv.size(1) != 2 * q.size(1)) {
    throw ShapeError(fmt::format("attention_kv_packed: q {}, kv {}; needs [queries, width], [keys, 2·width]",
                                 to_string(q.shape()), to_string(kv.shape())));
  }
  const int64_t width = q.size(1);
  const RaggedAttentionOptions options{.heads = heads, .causal = causal, .dropout_p = p, .rng = rng};
  return run({q, kv}, {{{0, 0}, {1, 0}, {1, width}}},
             check(q.size(0), kv.size(0), width, query_offsets, key_offsets, q.dtype(), options), options);
}

}  // namespace qing
