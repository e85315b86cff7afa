// Fine-tuning a saved classifier or a pretrained encoder in one call:
//
//   const auto labels = nn::TextClassifier::load("model")->labels();
//   const auto examples = nn::read_dataset("reviews.tsv", {.labels = labels});
//   optim::finetune("model", examples, "tuned");
#pragma once

#include <filesystem>
#include <span>

#include <qing/nn/data/labelled_texts.h>
#include <qing/optim/classifier/train_classifier.h>

namespace qing::optim {

/// Options for going on from the model in `from`: its labels, their kind (nn::Problem) and its maximum length, 3 epochs
/// of batches of 32 and, since narrow encoders need larger steps, a learning rate of 5e-5 · 768 / width, at most 5e-4.
/// For a folder without a classifier the labels are TrainOptions' own. IoError, DataError naming the file.
TrainOptions fine_tuning_options(const std::filesystem::path& from);

/// Trains the model of the folder `from` further on the examples, whose labels are indices into the options' labels,
/// and writes it to `out`, which may be `from`. Other labels than the folder's get a new head. Errors and threads as
/// train_classifier().
TrainResult finetune(const std::filesystem::path& from, std::span<const nn::Example> examples,
                     const std::filesystem::path& out);
TrainResult finetune(const std::filesystem::path& from, std::span<const nn::Example> examples,
                     const std::filesystem::path& out, TrainOptions options);  ///< options.from does not count.

}  // namespace qing::optim
