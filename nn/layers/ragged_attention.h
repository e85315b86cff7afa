// Multi-head attention over ragged batches, for any layout of the weights.
#pragma once

#include <cstdint>

#include <qing/autograd/ops/attention.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// Attention over ragged rows for all layers. A derived class has the weights under its own names and computes their
/// products, which attention reads in place. In training mode the dropout of attention weights draws from `rng`
/// (ValueError if it is null and the dropout is not 0). ShapeError for inputs and ValueError for offsets that do not
/// fit. forward is const: in evaluation mode it may be called from many threads.
class RaggedAttention : public Module {
 public:
  /// Self-attention: x [tokens, width] → [tokens, width].
  Tensor forward(const Tensor& x, const Offsets& offsets, bool causal = false, Generator* rng = nullptr) const;
  /// The rows of sequence s of `query` attend to those of sequence s of `memory`: query [queries, width], memory
  /// [keys, width] → [queries, width].
  Tensor forward(const Tensor& query, const Offsets& query_offsets, const Tensor& memory, const Offsets& memory_offsets,
                 Generator* rng = nullptr) const;

 protected:
  /// Errors contain `name`. ValueError unless heads ≥ 1 and 0 ≤ dropout < 1.
  RaggedAttention(const char* name, int64_t heads, double dropout);
  /// Products for rows [..., width], side by side: [..., width], [..., 2·width], [..., 3·width].
  virtual Tensor queries(const Tensor& x) const = 0;
  virtual Tensor keys_values(const Tensor& x) const = 0;
  virtual Tensor queries_keys_values(const Tensor& x) const = 0;
  virtual const Linear& output() const = 0;

  int64_t heads() const { return heads_; }
  double dropout() const { return dropout_; }
  Generator* dropout_rng(Generator* rng) const;  ///< Null without active dropout.

 private:
  const char* name_;
  int64_t heads_;
  double dropout_;
};

}  // namespace qing::nn
