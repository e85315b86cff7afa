// Masked-language-model pretraining (Devlin et al. 2019) of an encoder on texts without labels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/ragged_batch.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/optim/pretraining/masked_texts.h>
#include <qing/optim/training/training_run.h>

namespace qing::optim {

/// The mean cross-entropy of the masked tokens.
Tensor masked_loss(const nn::EncoderForMaskedLM& model, const MaskedBatch& batch, Generator* rng = nullptr);

/// Trains a vocabulary and an encoder of the options' size with a masked-language-model head, or goes on with the model
/// and the tokenizer in `from`, which must have such a head, and writes the model directory `out`, as `transformers`
/// loads it. Of the options those of OptionUse::pretraining count. Texts longer than max_length are cut into windows.
/// `run` and the callbacks are as train_classifier() has them. The same texts, options and kind of CPU give the same
/// weights to the bit, for any number of threads, and whether or not training was resumed. ValueError without texts,
/// for options out of range, and for a tokenizer without a mask token; DataError for a text that is not UTF-8, a model
/// that cannot be read, or a checkpoint of another training; IoError.
TrainResult pretrain(std::span<const std::string> texts, const TrainOptions& options, const std::filesystem::path& out,
                     const OnProgress& on_progress = {}, const std::function<void(int64_t epoch)>& on_epoch = {},
                     const RunOptions& run = {});

struct MaskedScore {
  double loss = 0;      ///< mean cross-entropy of the masked tokens; the perplexity is its exponential
  double accuracy = 0;  ///< share of them that has the highest score
  int64_t tokens = 0;   ///< masked ones
};
/// How well the model in a folder predicts masked tokens of the texts. What is masked depends on the texts and the
/// options alone. Errors of nn::load_masked_lm(); ValueError for texts without tokens.
MaskedScore evaluate_masked_lm(const std::filesystem::path& model, std::span<const std::string> texts,
                               const TrainOptions& options);

}  // namespace qing::optim
