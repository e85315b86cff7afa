// Multi-head attention over ragged batches, for any layout of the weights.
#pragma once

#include <cstdint>
#include <optional>

#include <qing/autograd/ops/attention.h>
#include <qing/autograd/ops/rotary.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/module.h>

namespace qing::nn {

struct AttentionLayerOptions {
  int64_t heads = 1;            ///< of the queries
  int64_t key_value_heads = 0;  ///< a divisor of heads (Ainslie et al. 2023); 0: as many as heads
  double dropout = 0;           ///< of attention weights, in training mode
  std::optional<RotaryOptions> rotary = std::nullopt;  ///< rotates queries and keys by their positions (Su et al. 2021)
  bool alibi = false;  ///< adds −slope·distance to the scores (Press, Smith & Lewis 2022)
};

/// Attention over ragged rows. A derived class holds the weights under its own names and gives their products, which
/// attention reads where they lie. In training mode `rng` feeds the dropout of attention weights (ValueError if null
/// then and the dropout is not 0). ShapeError for inputs that do not fit, DTypeError for dtypes other than the
/// weights', ValueError for offsets that do not rise from 0 to the rows. A sequence's results depend on its own rows
/// alone, to the bit. forward is const: in evaluation mode it may be called from many threads.
class RaggedAttention : public Module {
 public:
  /// Self-attention: x [tokens, width] → [tokens, width]. Positions are 0, 1, ... within each sequence. relative_bias
  /// [heads, 2·reach − 1] is added to the scores as ragged_attention() says; layers may share one.
  Tensor forward(const Tensor& x, const Offsets& offsets, bool causal = false, Generator* rng = nullptr,
                 const Tensor& relative_bias = {}) const;
  Tensor operator()(const Tensor& x, const Offsets& offsets, bool causal = false, Generator* rng = nullptr,
                    const Tensor& relative_bias = {}) const {
    return forward(x, offsets, causal, rng, relative_bias);
  }
  /// The rows of query's sequence s look at those of memory's sequence s: query [queries, width], memory
  /// [keys, width] → [queries, width]. first_queries [sequences] are the positions of each sequence's first query among
  /// the keys; the others follow. ValueError without them when the layer or relative_bias knows positions.
  Tensor forward(const Tensor& query, const Offsets& query_offsets, const Tensor& memory, const Offsets& memory_offsets,
                 Generator* rng = nullptr, const Offsets& first_queries = {}, const Tensor& relative_bias = {}) const;
  Tensor operator()(const Tensor& query, const Offsets& query_offsets, const Tensor& memory,
                    const Offsets& memory_offsets, Generator* rng = nullptr, const Offsets& first_queries = {},
                    const Tensor& relative_bias = {}) const {
    return forward(query, query_offsets, memory, memory_offsets, rng, first_queries, relative_bias);
  }
  /// forward() without the last product: forward(...) is output().forward(mixed(...)).
  Tensor mixed(const Tensor& x, const Offsets& offsets, bool causal, Generator* rng, const Tensor& relative_bias) const;
  Tensor mixed(const Tensor& query, const Offsets& query_offsets, const Tensor& memory, const Offsets& memory_offsets,
               Generator* rng, const Offsets& first_queries, const Tensor& relative_bias) const;
  virtual const Linear& output() const = 0;

 protected:
  /// `name` stands in errors. ValueError unless heads ≥ 1, key_value_heads divides heads, 0 ≤ dropout < 1 and the
  /// rotary base is positive.
  RaggedAttention(const char* name, const AttentionLayerOptions& options);
  /// Products for rows [..., width], side by side: queries [..., heads·d], keys and values [..., key_value_heads·d]
  /// each.
  virtual Tensor queries(const Tensor& x) const = 0;
  virtual Tensor keys_values(const Tensor& x) const = 0;
  virtual Tensor queries_keys_values(const Tensor& x) const = 0;
  /// mixed() without positions, masks and dropout in bf16 [queries, heads·d], which output() takes, where that is
  /// faster than in f32. Undefined elsewhere, and by default. The query is the memory in self-attention.
  virtual Tensor mixed_in_bf16(const Tensor& query, const Offsets& query_offsets, const Tensor& memory,
                               const Offsets& memory_offsets) const;

  int64_t heads() const { return options_.heads; }
  int64_t key_value_heads() const { return options_.key_value_heads; }
  double dropout() const { return options_.dropout; }
  bool has_alibi() const { return options_.alibi; }
  Generator* dropout_rng(Generator* rng) const;  ///< Null when nothing is to be dropped.
  /// x [..., heads, d] rotated by its rows' positions [...]; x itself without rotary positions.
  Tensor rotated(const Tensor& x, const Tensor& positions) const;

 private:
  Tensor try_bf16(const Tensor& query, const Offsets& query_offsets, const Tensor& memory,
                  const Offsets& memory_offsets, const Tensor& relative_bias, Generator* rng) const;
  bool knows_positions(const Tensor& relative_bias) const;
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& query_offsets,
                const Offsets& key_offsets, const Offsets& first_queries, bool causal, const Tensor& relative_bias,
                Generator* rng) const;
  Tensor rotated_rows(const Tensor& rows, int64_t heads, const Offsets& offsets, const Offsets& firsts) const;

  const char* name_;
  AttentionLayerOptions options_;
};

}  // namespace qing::nn
