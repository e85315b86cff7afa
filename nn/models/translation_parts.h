// The parts of TranslationModel, which its decoder takes apart. Private to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <qing/nn/layers/container.h>
#include <qing/nn/layers/embedding.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/layers/positional.h>
#include <qing/nn/models/translation_layers.h>

namespace qing::nn {

/// What encoder and decoder have in common: positions, layers and norms.
template <class Layer> class TranslationStack : public Module {
 public:
  TranslationStack(const TranslationConfig& config, int64_t layers, int64_t heads, bool both_directions,
                   Generator& rng);
  void visit(Visitor& visitor) override;

  /// Inputs of the first layer for embeddings [rows, width] of tokens at positions (i32 or i64) [rows].
  Tensor embedded(const Tensor& embeddings, const Tensor& positions, Generator* rng) const;
  /// The bias of self-attention's scores for sequences of up to `reach` tokens; undefined for other positions.
  Tensor relative_bias(int64_t reach) const { return relative_ ? relative_->forward(reach) : Tensor(); }
  /// The norm behind the last layer, if there is one.
  Tensor normed(const Tensor& x) const { return norm_ ? norm_->forward(x) : x; }
  const ModuleList<Layer>& layers() const { return layers_; }

 private:
  Tensor added_positions(const Tensor& x, const Tensor& positions) const;

  int64_t offset_;
  double dropout_;
  std::optional<Embedding> learned_;
  Tensor fixed_;  // of sinusoidal positions; a buffer that is not saved
  std::optional<RelativePositionBias> relative_;
  std::unique_ptr<ResidualNorm> embedding_norm_, norm_;
  ModuleList<Layer> layers_;
};

/// The model without its checks.
class TranslationParts {
 public:
  TranslationParts(const TranslationConfig& config, Generator& rng);

  /// Rows of the table for ids, times √width if embeddings are scaled.
  Tensor embeddings(const Tensor& ids) const;
  const Tensor& table() const { return table_ ? table_->weight() : output.weight(); }
  /// Hidden states as the output layer takes them.
  Tensor scaled(const Tensor& hidden) const;
  void visit(Module::Visitor& visitor);

  TranslationStack<TranslationEncoderLayer> encoder;
  TranslationStack<TranslationDecoderLayer> decoder;
  Linear output;  ///< its weight is the table of embeddings, if they are tied
  bool checkpointing = false;

 private:
  std::optional<Embedding> table_;
  double embedding_factor_, output_factor_;
};

}  // namespace qing::nn
