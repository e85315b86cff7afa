// What a training of a classifier begins with: a new model, or one that exists and is fine-tuned.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/models/ngram_head.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/optim/classifier/train_options.h>

namespace qing::optim {

struct StartingModel {
  nn::Tokenizer tokenizer;
  nn::ClassifierConfig config;
  std::unique_ptr<nn::NgramHead> ngrams = nullptr;  ///< null without n-grams
  nn::StateDict weights = {};                       ///< under the model's names; those that are missing begin anew
  std::string weights_file = {};                    ///< where they come from
};

/// A WordPiece vocabulary trained on the texts, and an encoder of the options' size for it.
nn::Tokenizer new_tokenizer(std::span<const std::string> texts, const TrainOptions& options);
nn::EncoderConfig new_encoder(const TrainOptions& options, const nn::Tokenizer& tokenizer);
/// The tokenizer of the folder `from`, which cuts texts at max_length, or where the encoder ends. IoError; DataError
/// naming the file or the folder.
nn::Tokenizer starting_tokenizer(const TrainOptions& options, const nn::EncoderConfig& encoder);

/// The tokenizer of a training whose new vocabulary lies in `folder`; with `from`, that one's, as above.
nn::Tokenizer tokenizer_of(const std::filesystem::path& folder, const TrainOptions& options);

/// Whether the classification head of a folder with this configuration is kept: it has the labels of the options, and
/// the same kind of scores. Ordered labels and labels without an order have the same.
bool keeps_head(const nn::ClassifierConfig& config, const TrainOptions& options);

/// Without `from`, a vocabulary trained on the examples and a new encoder of the options' size. With `from`, the
/// vocabulary, the encoder and the weights in that folder, pruned if prune_vocab; sizes and vocab of the options do not
/// count. The layer that gives the logits and the n-grams are taken over if keeps_head(). The folder may
/// hold an encoder of any EncoderFamily with another head or none, as `transformers` saves them, in any format of
/// open_weights(), and any tokenizer of Tokenizer::load. IoError; DataError naming the file; ValueError for n-grams
/// beside a folder that has its own or another encoder than BERT's, and for word dropout without a mask token.
StartingModel starting_model(std::span<const nn::Example> examples, const TrainOptions& options);

/// The same without the texts, for options without n-grams and without prune_vocab: without `from`, a new encoder for
/// the vocabulary in the folder `tokenizer`, which new_tokenizer() trained on a part of the texts.
StartingModel starting_model(const std::filesystem::path& tokenizer, const TrainOptions& options);

/// Copies the weights into a model. DataError with the file and a list when one is missing that is neither of the
/// pooler nor of the head.
void load_starting_weights(nn::EncoderForSequenceClassification& model, const StartingModel& start);

}  // namespace qing::optim
