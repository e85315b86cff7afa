// Multi-head attention over ragged batches, for any layout of the weights.
#pragma once

#include <cstdint>

#include <qing/autograd/ops/attention.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// Attention over ragged rows, written once. A derived class holds the weights under its own names and gives their
/// products, which attention reads where they lie. In training mode `rng` feeds the dropout of attention weights
/// (ValueError if null then and the dropout is not 0). ShapeError for inputs that do not fit; ValueError for offsets
/// that do not. forward is const: in evaluation mode it may be called from many threads.
class RaggedAttention : public Module {
 public:
  /// Self-attention: x [tokens, width] → [tokens, width].
  Tensor forward(const Tensor& x, const Offsets& offsets, bool causal = false, Generator* rng = nullptr) const;
  /// The rows of query's sequence s look at those of memory's sequence s: query [queries, width], memory
  /// [keys, width] → [queries, width].
  Tensor forward(const Tensor& query, const Offsets& query_offsets, const Tensor& memory, const Offsets& memory_offsets,
                 Generator* rng = nullptr) const;

 protected:
  /// `name` stands in errors. ValueError unless heads ≥ 1 and 0 ≤ dropout < 1.
  RaggedAttention(const char* name, int64_t heads, double dropout);
  /// Products for rows [..., width], side by side: [..., width], [..., 2·width], [..., 3·width].
  virtual Tensor queries(const Tensor& x) const = 0;
  virtual Tensor keys_values(const Tensor& x) const = 0;
  virtual Tensor queries_keys_values(const Tensor& x) const = 0;
  virtual const Linear& output() const = 0;

  int64_t heads() const { return heads_; }
  double dropout() const { return dropout_; }
  Generator* dropout_rng(Generator* rng) const;  ///< Null when nothing is to be dropped.

 private:
  const char* name_;
  int64_t heads_;
  double dropout_;
};

}  // namespace qing::nn
