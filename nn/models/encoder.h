// One encoder for all families of EncoderFamily, over ragged batches.
#pragma once

#include <memory>

#include <qing/nn/layers/linear.h>
#include <qing/nn/models/encoder_config.h>
#include <qing/nn/module.h>
#include <qing/nn/ragged_batch.h>

namespace qing::nn {

/// Embeddings, blocks and, if asked for, the dense layer of a head that looks at the first token ("pooler"). Parameter
/// names are those of Hugging Face's BertModel for every family; parameter_names.h tells a family's own. Ids and
/// positions must lie in the tables (IndexError). In training mode `rng` feeds the dropouts (ValueError if null and a
/// dropout is not 0). The results of a sequence depend on it alone, to the bit. Member functions are const: in
/// evaluation mode they may be called from many threads. Without gradients and without `rng` the threads share a batch
/// by sequences (in_parts()), which is faster.
class Encoder : public Module {
 public:
  /// ValueError from EncoderConfig::validate. Weights normal(0, initializer_range).
  Encoder(const EncoderConfig& config, Generator& rng, bool pooler);
  ~Encoder() override;
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;
  void visit(Visitor& visitor) override;

  /// Hidden states [tokens, hidden_size] after the last block.
  Tensor forward(const RaggedBatch& batch, Generator* rng = nullptr) const;
  Tensor operator()(const RaggedBatch& batch, Generator* rng = nullptr) const { return forward(batch, rng); }
  /// Those of each sequence's first token: [sequences, hidden_size]. Of the last block only their rows are computed.
  Tensor forward_firsts(const RaggedBatch& batch, Generator* rng = nullptr) const;
  /// forward_firsts() with vectors [tokens, embedding_width] in the place of the word embeddings; positions are still
  /// added.
  Tensor forward_firsts(const Tensor& embeddings, const RaggedBatch& batch, Generator* rng = nullptr) const;
  /// Whether backward computes every block a second time instead of keeping what is inside (checkpoint()): the same
  /// gradients for less memory and more time. Off at first. Not while others use the model.
  void checkpoint_layers(bool on);
  /// The pooler's linear layer. ValueError for an encoder without.
  const Linear& pooler() const;
  const Tensor& word_embeddings() const;  ///< The table [vocab_size, embedding_width].
  const EncoderConfig& config() const { return config_; }

 private:
  class Parts;
  /// run(batch, rng), in parts if there is no rng.
  template <class Run> Tensor compute(const RaggedBatch& batch, Generator* rng, const Run& run) const;
  EncoderConfig config_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace qing::nn
