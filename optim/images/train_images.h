// Training an image classifier from labelled images to a model directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <qing/nn/images/image_data.h>
#include <qing/nn/metrics.h>
#include <qing/nn/models/image_classifier.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/optim/images/augmentation.h>
#include <qing/optim/schedules.h>
#include <qing/optim/training/training_run.h>

namespace qing::optim {

enum class ImageOptimizer : uint8_t { sgd, adamw };

/// What the recipe needs beside the options of OptionUse::image.
struct ImageOptions {
  std::string network = "resnet";               ///< "resnet" or "vit"
  std::vector<int64_t> widths = {32, 64, 128};  ///< resnet: channels of each stage
  int64_t blocks = 1;                           ///< resnet: blocks of each stage
  int64_t patch = 4;                            ///< vit: side of a patch
  nn::PatchPooling pooling = nn::PatchPooling::cls;
  nn::ImageFit fit = nn::ImageFit::stretch;  ///< recorded in the model, for pictures of other sizes
  ImageOptimizer optimizer = ImageOptimizer::sgd;
  double momentum = 0.9;  ///< of SGD, Nesterov's
  WarmupDecay decay = WarmupDecay::cosine;
  Augmentation augmentation = {};
};

/// Trains a network on `images` with SGD or AdamW, a linear warm-up and a cosine or linear decay, and writes the model
/// directory `out`. The mean and deviation of each channel are measured and recorded. Of the options those of
/// OptionUse::image count: layers, width, heads and dropout are a vision transformer's, and label_smoothing takes the
/// place of the augmentation's. Biases and norms have no weight decay. The loss is the mean cross-entropy. With ema the
/// averages include the running statistics of batch norm. `run` and the callback are as train_classifier() has them; it
/// trains in one process. The same images, options and kind of CPU give the same weights to the bit, for any number of
/// threads, and whether or not training was resumed. ValueError without images, with fewer than 2 labels, and for
/// options out of range; DataError for a checkpoint of another training; IoError.
TrainResult train_images(const nn::LabelledImages& images, const TrainOptions& options, const ImageOptions& more,
                         const std::filesystem::path& out, const OnProgress& on_progress = {},
                         const RunOptions& run = {});

/// The configuration that train_images() trains. Errors as there.
nn::ImageConfig image_config(const nn::LabelledImages& images, const TrainOptions& options, const ImageOptions& more);

struct ImageScores {
  nn::ConfusionMatrix matrix;
  double loss;  ///< the mean negative log-probability of the labels
};
/// Of a model on images of its size, whose labels are the model's. ValueError without images or for other labels.
ImageScores evaluate_images(const nn::ImageClassifier& model, const nn::LabelledImages& images);

}  // namespace qing::optim
