// An encoder-decoder for translation over ragged batches (Vaswani et al. 2017).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <qing/nn/models/translation_config.h>
#include <qing/nn/module.h>
#include <qing/nn/ragged_batch.h>

namespace qing::nn {

class TranslationParts;

/// Pairs of sentences for teacher forcing: sequence s of the target translates sequence s of the source.
struct TranslationBatch {
  RaggedBatch source;
  RaggedBatch target;  ///< the start token, then the translation's tokens without the last
  Tensor labels;       ///< i32 [target tokens]: the token that follows each of the target's

  /// Joins pairs of token ids. A source ends in the end token as given. A target is given without start token and
  /// with its end token. ValueError when a sequence is empty or the counts differ.
  static TranslationBatch of(std::span<const std::span<const int32_t>> sources,
                             std::span<const std::span<const int32_t>> targets, int32_t start_id);
};

/// By its TranslationConfig qing's own translation model, Marian's (Junczys-Dowmunt et al. 2018), M2M-100's (Fan et al.
/// 2021), BART's (Lewis et al. 2020) or T5's (Raffel et al. 2020). Weights of other programs have qing's parameter
/// names after translation_names.h. ValueError for sequences longer than max_tokens, IndexError for ids outside the
/// vocabulary. In training mode `rng` feeds the dropouts (ValueError if null and a dropout is not 0). The results of a
/// pair depend on it alone, to the bit, not on its neighbours or on threads. Member functions are const: in evaluation
/// mode they may be called from many threads.
class TranslationModel : public Module {
 public:
  /// ValueError from TranslationConfig::validate.
  TranslationModel(const TranslationConfig& config, Generator& rng);
  ~TranslationModel() override;
  TranslationModel(TranslationModel&&) noexcept;
  TranslationModel& operator=(TranslationModel&&) noexcept;
  void visit(Visitor& visitor) override;

  /// Hidden states [source tokens, width] of the encoder.
  Tensor encode(const RaggedBatch& source, Generator* rng = nullptr) const;
  /// Hidden states [target tokens, width] of the decoder. Token i of a target sees tokens 0 to i and its whole source,
  /// whose hidden states `memory` [source tokens, width] holds. ValueError unless there are as many targets as sources.
  Tensor decode(const RaggedBatch& target, const Tensor& memory, const Offsets& memory_offsets,
                Generator* rng = nullptr) const;
  /// Logits [rows, vocab_size] for hidden states [rows, width] of the decoder.
  Tensor logits(const Tensor& hidden) const;
  /// Logits [target tokens, vocab_size] of the token after each of the target's.
  Tensor forward(const RaggedBatch& source, const RaggedBatch& target, Generator* rng = nullptr) const;
  Tensor operator()(const RaggedBatch& source, const RaggedBatch& target, Generator* rng = nullptr) const {
    return forward(source, target, rng);
  }
  /// The mean over the target's tokens of cross_entropy(logits, labels) with this label smoothing, in memory that
  /// does not hold the logits of all tokens (linear_cross_entropy()).
  Tensor loss(const TranslationBatch& batch, double label_smoothing = 0, Generator* rng = nullptr) const;
  /// Whether backward computes every layer a second time instead of keeping what is inside (checkpoint()): the same
  /// gradients for less memory and more time. Off at first. Not while others use the model.
  void checkpoint_layers(bool on);
  const TranslationConfig& config() const { return config_; }

  /// The layers, for TranslationDecoder.
  const TranslationParts& parts() const { return *parts_; }

 private:
  TranslationConfig config_;
  std::unique_ptr<TranslationParts> parts_;
};

}  // namespace qing::nn
