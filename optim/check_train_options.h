// What train_classifier() refuses before it begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <qing/nn/text/dataset.h>
#include <qing/optim/train_classifier.h>

namespace qing::optim {

/// ValueError as train_classifier() documents it, but for what takes reading files.
void check_train_options(const TrainOptions& options, std::span<const nn::Example> examples);

/// Steps of an epoch of so many examples, at least one.
int64_t batches_of_epoch(const TrainOptions& options, size_t examples);

}  // namespace qing::optim
