#include <qing/nn/layers/embedding_bag.h>

#include <qing/nn/forgotten_layers.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {

EmbeddingBag::EmbeddingBag(int64_t num_embeddings, int64_t embedding_dim, Generator& rng, EmbeddingBagOptions options)
    : mode_(options.mode) {
  check_at_least("EmbeddingBag", "num_embeddings", num_embeddings, 0);
  check_at_least("EmbeddingBag", "embedding_dim", embedding_dim, 0);
  weight_ = Tensor::empty({num_embeddings, embedding_dim});
  init::normal(weight_, rng, 0, options.stddev);
  if (!options.padding_idx) return;
  padding_idx_ = wrap_dim(*options.padding_idx, num_embeddings, "EmbeddingBag: padding_idx");
  weight_.select(0, padding_idx_).fill(0);
}

void EmbeddingBag::visit(Visitor& visitor) { visitor.parameter("weight", weight_); }

Tensor EmbeddingBag::forward(const Tensor& ids, const Tensor& offsets, const Tensor& per_sample_weights) const {
  note_use(*this, weight_);
  return embedding_bag(weight_, ids, offsets, mode_, padding_idx_, per_sample_weights);
}

}  // namespace qing::nn
