#include <qing/nn/layers/ragged_attention.h>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/views.h>
#include <qing/nn/layers/check.h>
#include <qing/nn/layers/positional.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

AttentionLayerOptions checked(const char* name, AttentionLayerOptions options) {
  check_at_least(name, "num_heads", options.heads, 1);
  if (options.key_value_heads == 0) options.key_value_heads = options.heads;
  check_at_least(name, "key_value_heads", options.key_value_heads, 1);
  if (options.heads % options.key_value_heads != 0) {
    throw ValueError(fmt::format("{}: key_value_heads {} does not divide num_heads {}", name, options.key_value_heads,
                                 options.heads));
  }
  check_probability(name, options.dropout);
  if (options.rotary && !(options.rotary->base > 0)) {
    throw ValueError(fmt::format("{}: the rotary base is {}; it must be positive", name, options.rotary->base));
  }
  return options;
}

void check_matrix(const char* name, const Tensor& products) {
  if (products.dim() == 2) return;
  throw ShapeError(fmt::format("{}: rows of {} dimensions; a ragged batch is [tokens, width]", name, products.dim()));
}

bool covers(const Offsets& offsets, const Tensor& rows) {
  return !offsets.empty() && offsets.front() == 0 && offsets.back() == rows.size(0) && std::ranges::is_sorted(offsets);
}

// Before positions are read by offsets.
void check_rows(const char* name, const Tensor& rows, const Offsets& offsets) {
  if (covers(offsets, rows)) return;
  throw ValueError(fmt::format("{}: offsets must rise from 0 to the {} rows; got {} of them, last {}", name,
                               rows.size(0), offsets.size(), offsets.empty() ? -1 : offsets.back()));
}

// firsts[s], firsts[s] + 1, ... for the rows of each sequence s; from 0 without firsts.
Tensor positions_of(const Offsets& offsets, const Offsets& firsts) {
  Tensor positions = Tensor::empty({offsets.back()}, DType::i64);
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    int64_t* const out = positions.data<int64_t>();
    std::iota(out + offsets[s], out + offsets[s + 1], firsts.empty() ? 0 : firsts[s]);
  }
  return positions;
}

int64_t longest(const Offsets& offsets) {
  int64_t length = 1;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) length = std::max(length, offsets[s + 1] - offsets[s]);
  return length;
}

}  // namespace

RaggedAttention::RaggedAttention(const char* name, const AttentionLayerOptions& options)
    : name_(name), options_(checked(name, options)) {}

Generator* RaggedAttention::dropout_rng(Generator* rng) const {
  if (!training() || options_.dropout == 0) return nullptr;
  check_generator(name_, rng);
  return rng;
}

Tensor RaggedAttention::rotated(const Tensor& x, const Tensor& positions) const {
  return options_.rotary ? rotary_embedding(x, positions, *options_.rotary) : x;
}

bool RaggedAttention::knows_positions(const Tensor& relative_bias) const {
  return options_.rotary || options_.alibi || relative_bias.defined();
}

// rows [n, heads·d], rotated.
Tensor RaggedAttention::rotated_rows(const Tensor& rows, int64_t heads, const Offsets& offsets,
                                     const Offsets& firsts) const {
  if (!options_.rotary) return rows;
  const Tensor apart = reshape(rows, {rows.size(0), heads, rows.size(1) / heads});
  return reshape(rotated(apart, positions_of(offsets, firsts)), rows.shape());
}

Tensor RaggedAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& query_offsets,
                               const Offsets& key_offsets, const Offsets& first_queries, bool causal,
                               const Tensor& relative_bias, Generator* rng) const {
  check_rows(name_, q, query_offsets);
  check_rows(name_, k, key_offsets);
  if (!first_queries.empty() && first_queries.size() + 1 != query_offsets.size()) {
    throw ValueError(fmt::format("{}: first_queries has {} entries; needs one for each of the {} sequences", name_,
                                 first_queries.size(), query_offsets.size() - 1));
  }
  Tensor bias = relative_bias;
  if (options_.alibi) {
    const int64_t reach = bias.defined() && bias.dim() == 2 ? (bias.size(1) + 1) / 2 : longest(key_offsets);
    const Tensor distances = alibi_relative_bias(heads(), reach, q.dtype());
    bias = bias.defined() ? bias + distances : distances;
  }
  return ragged_attention(rotated_rows(q, heads(), query_offsets, first_queries),
                          rotated_rows(k, key_value_heads(), key_offsets, {}), v, query_offsets, key_offsets,
                          {.heads = heads(),
                           .key_heads = key_value_heads(),
                           .causal = causal,
                           .relative_bias = bias,
                           .first_queries = first_queries,
                           .dropout_p = dropout(),
                           .rng = dropout_rng(rng)});
}

Tensor RaggedAttention::mixed_in_bf16(const Tensor&, const Offsets&, const Tensor&, const Offsets&) const { return {}; }

// mixed_in_bf16() where this layer's attention is of that kind and the arguments are valid.
Tensor RaggedAttention::try_bf16(const Tensor& query, const Offsets& query_offsets, const Tensor& memory,
                                 const Offsets& memory_offsets, const Tensor& relative_bias, Generator* rng) const {
  const bool plain = !knows_positions(relative_bias) && key_value_heads() == heads() && dropout_rng(rng) == nullptr;
  const bool valid = query.dim() == 2 && memory.dim() == 2 && covers(query_offsets, query) &&
                     covers(memory_offsets, memory) && query_offsets.size() == memory_offsets.size();
  return plain && valid ? mixed_in_bf16(query, query_offsets, memory, memory_offsets) : Tensor();
}

Tensor RaggedAttention::forward(const Tensor& x, const Offsets& offsets, bool causal, Generator* rng,
                                const Tensor& relative_bias) const {
  return output().forward(mixed(x, offsets, causal, rng, relative_bias));
}

Tensor RaggedAttention::forward(const Tensor& query, const Offsets& query_offsets, const Tensor& memory,
                                const Offsets& memory_offsets, Generator* rng, const Offsets& first_queries,
                                const Tensor& relative_bias) const {
  return output().forward(mixed(query, query_offsets, memory, memory_offsets, rng, first_queries, relative_bias));
}

Tensor RaggedAttention::mixed(const Tensor& x, const Offsets& offsets, bool causal, Generator* rng,
                              const Tensor& relative_bias) const {
  if (!causal) {
    Tensor y = try_bf16(x, offsets, x, offsets, relative_bias, rng);
    if (y.defined()) return y;
  }
  const Tensor qkv = queries_keys_values(x);
  if (!knows_positions(relative_bias) && key_value_heads() == heads()) {
    return attention_qkv_packed(qkv, offsets, heads(), dropout(), dropout_rng(rng), causal);
  }
  check_matrix(name_, qkv);
  const int64_t depth = qkv.size(1) / (heads() + 2 * key_value_heads());
  const int64_t keys = heads() * depth, values = keys + key_value_heads() * depth;
  return attend(slice(qkv, 1, 0, keys), slice(qkv, 1, keys, values), slice(qkv, 1, values, qkv.size(1)), offsets,
                offsets, {}, causal, relative_bias, rng);
}

Tensor RaggedAttention::mixed(const Tensor& query, const Offsets& query_offsets, const Tensor& memory,
                              const Offsets& memory_offsets, Generator* rng, const Offsets& first_queries,
                              const Tensor& relative_bias) const {
  const bool positioned = knows_positions(relative_bias);
  if (positioned && first_queries.empty() && query_offsets.size() > 1) {
    throw ValueError(fmt::format("{}: needs first_queries, the positions of the queries", name_));
  }
  Tensor y = try_bf16(query, query_offsets, memory, memory_offsets, relative_bias, rng);
  if (y.defined()) return y;
  // Memory first: an operation's place in the graph decides the order in which gradients are added.
  const Tensor kv = keys_values(memory);
  if (!positioned && key_value_heads() == heads()) {
    return attention_kv_packed(queries(query), kv, query_offsets, memory_offsets, heads(), dropout(), dropout_rng(rng));
  }
  check_matrix(name_, kv);
  const int64_t width = kv.size(1) / 2;
  return attend(queries(query), slice(kv, 1, 0, width), slice(kv, 1, width, 2 * width), query_offsets, memory_offsets,
                first_queries, false, relative_bias, rng);
}

}  // namespace qing::nn
