// Training a translation model from pairs of texts to a model directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include <qing/nn/models/translation_folder.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/optim/training/training_run.h>
#include <qing/optim/translation/translation_data.h>

namespace qing::optim {

struct TranslationTrainResult : TrainResult {
  int64_t left_out = 0;  ///< pairs with a text that is too long
};

/// Trains a byte-level vocabulary that the languages share and an encoder-decoder on the pairs, or goes on with the
/// model in `from`, with AdamW, a warm-up and a decay, and label smoothing, and writes the model directory `out`, as
/// nn::load_translation_model() reads it. Of the options those of OptionUse::translation count. A batch has pairs of
/// about the same length and at most batch_tokens tokens. A pair with a text of more than max_length tokens is left
/// out, and TranslationTrainResult::left_out counts these. `run` and the callbacks are as train_classifier() has them.
/// The same pairs, options and kind of CPU give the same weights to the bit, for any number of threads, and whether or
/// not training was resumed. ValueError without pairs that fit, for options out of range, for a pair that no batch has
/// room for, and for a model in `from` without a language of the pairs; DataError for a text that is not UTF-8, a model
/// that cannot be read, or a checkpoint of another training; IoError.
TranslationTrainResult train_translation(std::span<const TranslationPair> pairs, const TrainOptions& options,
                                         const std::filesystem::path& out, const OnProgress& on_progress = {},
                                         const std::function<void(int64_t epoch)>& on_epoch = {},
                                         const RunOptions& run = {});

/// The vocabulary and the size of a new model for the pairs.
nn::Tokenizer new_translation_tokenizer(std::span<const TranslationPair> pairs, const TrainOptions& options);
nn::TranslationConfig new_translation_config(const TrainOptions& options, const nn::Tokenizer& tokenizer);

struct TranslationLoss {
  double loss = 0;  ///< mean cross-entropy of the targets' tokens, without smoothing; its exponential is the perplexity
  int64_t tokens = 0;   ///< of the targets
  size_t too_long = 0;  ///< pairs that the model does not take, which do not count
};
/// How well a model predicts the targets. Depends on the model and the pairs alone. ValueError for pairs of other
/// languages than the model's.
TranslationLoss translation_loss(const nn::TranslationFolder& folder, std::span<const TranslationPair> pairs);

}  // namespace qing::optim
