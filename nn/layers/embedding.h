// Embedding tables.
#pragma once

#include <cstdint>
#include <optional>

#include <qing/nn/module.h>

namespace qing::nn {

struct EmbeddingOptions {
  /// This row is initialised to zeros and gets no gradient. A negative index counts from the back.
  std::optional<int64_t> padding_idx = std::nullopt;
  double stddev = 1;  ///< weights are normal(0, stddev)
};

/// Rows of a table, weight [num_embeddings, embedding_dim], by id.
class Embedding : public Module {
 public:
  /// ValueError for a negative size, IndexError for a padding_idx outside the table.
  Embedding(int64_t num_embeddings, int64_t embedding_dim, Generator& rng, EmbeddingOptions options = {});
  void visit(Visitor& visitor) override;
  /// ids (i32 or i64) of any shape give ids.shape + [embedding_dim]. DTypeError, IndexError for an id outside the
  /// table. It may be called from many threads.
  Tensor forward(const Tensor& ids) const;
  Tensor operator()(const Tensor& ids) const { return forward(ids); }
  const Tensor& weight() const { return weight_; }

 private:
  Tensor weight_;
  int64_t padding_idx_ = -1;
};

}  // namespace qing::nn
