// Training a text classifier from labelled texts to a model directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include <qing/nn/data/labelled_texts.h>
#include <qing/optim/classifier/streamed_texts.h>
#include <qing/optim/classifier/teachers.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/optim/training/training_run.h>

namespace qing::optim {

/// Trains a vocabulary and a BERT-architecture classifier on `examples`, or fine-tunes the one in `from`, with AdamW, a
/// linear warm-up and decay, and writes the model directory `out` after every epoch and at the end; on_epoch(epoch) is
/// called after each write. on_progress is called after every step; when it returns false the model is written and
/// training ends early. `run` adds checkpoints and evaluations. Teachers are asked before the first step. The same
/// examples, options and kind of CPU give the same weights to the bit, for any number of threads. ValueError without
/// examples, for one whose label is no index into the labels, on options out of range, or for a teacher with other
/// labels or of another kind; DataError for a model in `from` that cannot be read; IoError when `out` cannot be
/// written, which leaves what was there in place; DataError for a checkpoint of another training or a teacher that
/// cannot be read.
TrainResult train_classifier(std::span<const nn::Example> examples, const TrainOptions& options,
                             const std::filesystem::path& out, const OnProgress& on_progress = {},
                             const std::function<void(int64_t epoch)>& on_epoch = {}, const RunOptions& run = {},
                             const TeacherOptions& teachers = {});

/// train_classifier() with texts that stay on the disk. Memory beside the model's does not grow with the number of
/// texts. The weights are not those of train_classifier(), because the order of the texts is another. ValueError for
/// options that need all texts in memory too; DataError for a damaged block of the file, when it is reached, or a
/// folder of a vocabulary that cannot be read.
TrainResult train_streamed_classifier(const StreamedTexts& texts, const TrainOptions& options,
                                      const std::filesystem::path& out, const OnProgress& on_progress = {},
                                      const std::function<void(int64_t epoch)>& on_epoch = {},
                                      const RunOptions& run = {});

}  // namespace qing::optim
