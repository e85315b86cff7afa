// Embedding bags.
#pragma once

#include <cstdint>
#include <optional>

#include <qing/autograd/ops/indexing.h>
#include <qing/nn/module.h>

namespace qing::nn {

struct EmbeddingBagOptions {
  BagMode mode = BagMode::mean;
  /// Ids of this row do not count. The row is initialised to zeros. A negative index counts from the back.
  std::optional<int64_t> padding_idx = std::nullopt;
  double stddev = 1;  ///< weights are normal(0, stddev)
};

/// Sums, means or maxima of rows of a table, weight [num_embeddings, embedding_dim]. See embedding_bag in
/// <qing/autograd/ops/indexing.h>.
class EmbeddingBag : public Module {
 public:
  /// ValueError for a negative size, IndexError for a padding_idx outside the table.
  EmbeddingBag(int64_t num_embeddings, int64_t embedding_dim, Generator& rng, EmbeddingBagOptions options = {});
  void visit(Visitor& visitor) override;
  /// ids [n] with offsets [bags], where each bag begins, or [bags, n] without; per_sample_weights, for sums alone, have
  /// the shape of ids. Gives [bags, embedding_dim]. ShapeError, DTypeError, IndexError and ValueError as
  /// embedding_bag(); it may be called from many threads.
  Tensor forward(const Tensor& ids, const Tensor& offsets = {}, const Tensor& per_sample_weights = {}) const;
  Tensor operator()(const Tensor& ids, const Tensor& offsets = {}, const Tensor& per_sample_weights = {}) const {
    return forward(ids, offsets, per_sample_weights);
  }
  const Tensor& weight() const { return weight_; }

 private:
  Tensor weight_;
  BagMode mode_;
  int64_t padding_idx_ = -1;
};

}  // namespace qing::nn
