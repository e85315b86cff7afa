#include <qing/nn/layers/embedding.h>

#include <qing/autograd/ops/indexing.h>
#include <qing/nn/forgotten_layers.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {

Embedding::Embedding(int64_t num_embeddings, int64_t embedding_dim, Generator& rng, EmbeddingOptions options) {
  check_at_least("Embedding", "num_embeddings", num_embeddings, 0);
  check_at_least("Embedding", "embedding_dim", embedding_dim, 0);
  weight_ = Tensor::empty({num_embeddings, embedding_dim});
  init::normal(weight_, rng, 0, options.stddev);
  if (!options.padding_idx) return;
  padding_idx_ = wrap_dim(*options.padding_idx, num_embeddings, "Embedding: padding_idx");
  weight_.select(0, padding_idx_).fill(0);
}

void Embedding::visit(Visitor& visitor) { visitor.parameter("weight", weight_); }

Tensor Embedding::forward(const Tensor& ids) const {
  note_use(*this, weight_);
  return embedding(weight_, ids, padding_idx_);
}

}  // namespace qing::nn
