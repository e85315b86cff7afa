// The recipe of image classifiers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include <qing/nn/formats/safetensors.h>
#include <qing/optim/images/train_images.h>
#include <qing/tensor/threads.h>

#include "nn/temp_folder.h"

namespace qing::optim {
namespace {

// Bright squares at the left or at the right.
nn::LabelledImages squares(int64_t count) {
  nn::LabelledImages images{Tensor::zeros({count, 8, 8, 1}, DType::u8), {}, {"left", "right"}, 0};
  Generator rng(1);
  for (int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<int32_t>(rng.below(2));
    images.labels.push_back(label);
    for (int64_t y = 2; y < 6; ++y) {
      for (int64_t x = 0; x < 3; ++x) {
        images.pixels.data<uint8_t>()[(i * 8 + y) * 8 + x + (label == 0 ? 0 : 5)] =
            static_cast<uint8_t>(100 + rng.below(100));
      }
    }
  }
  return images;
}

TrainOptions small_options() {
  TrainOptions options;
  options.batch = 16, options.epochs = 3, options.lr = 0.05, options.warmup = 0.2, options.clip = 100;
  options.weight_decay = 5e-4, options.dropout = 0, options.layers = 1, options.width = 32, options.ema = 0.5;
  options.label_smoothing = 0.1;
  return options;
}

ImageOptions small_network(const std::string& network) {
  ImageOptions more;
  more.network = network;
  more.widths = {8, 16};
  more.patch = 2;
  more.augmentation = {.crop_padding = 1, .flip = 0, .erase = 0.2, .mixup = 0.2};
  if (network == "vit") more.optimizer = ImageOptimizer::adamw;
  return more;
}

nn::StateDict weights_of(const std::filesystem::path& folder) {
  return nn::load_safetensors(folder / "model.safetensors").tensors;
}

void expect_equal(const nn::StateDict& a, const nn::StateDict& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    const Tensor other = b.at(name);
    if (tensor.dtype() != DType::f32) continue;  // the count of batches
    ASSERT_EQ(std::memcmp(tensor.contiguous().data<float>(), other.contiguous().data<float>(),
                          static_cast<size_t>(tensor.numel()) * sizeof(float)),
              0)
        << name << ", " << what;
  }
}

TEST(ImageTraining, LearnsWhereTheSquareIs) {
  for (const std::string network : {"resnet", "vit"}) {
    const nn::LabelledImages images = squares(256);
    TrainOptions options = small_options();
    options.lr = network == "vit" ? 3e-3 : 0.05;
    options.epochs = network == "vit" ? 20 : 6;
    ImageOptions more = small_network(network);
    more.augmentation = {.crop_padding = 1, .flip = 0};
    const test::TempFolder folder;
    train_images(images, options, more, folder.path());
    EXPECT_GT(evaluate_images(*nn::ImageClassifier::load(folder.path()), images).matrix.accuracy(), 0.95) << network;
  }
}

TEST(ImageTraining, HasTheSameBitsForAnyThreadsAndAfterAResume) {
  const nn::LabelledImages images = squares(96);
  for (const std::string network : {"resnet", "vit"}) {
    const test::TempFolder whole, one, parts, checkpoints;
    const ImageOptions more = small_network(network);
    train_images(images, small_options(), more, whole.path());
    const int threads = num_threads();
    set_num_threads(threads == 1 ? 3 : 1);
    train_images(images, small_options(), more, one.path());
    set_num_threads(threads);
    expect_equal(weights_of(whole.path()), weights_of(one.path()), network + " on other threads");
    const RunOptions run{.checkpoints = checkpoints.path(), .checkpoint_every = 4};
    train_images(
        images, small_options(), more, parts.path(), [](const Progress& now) { return now.step < 7; }, run);
    const TrainResult result = train_images(images, small_options(), more, parts.path(), {}, run);
    EXPECT_GT(result.resumed_from, 0);
    expect_equal(weights_of(whole.path()), weights_of(parts.path()), network + " after a resume");
  }
}

// After one step the running mean of the first norm depends on the first convolution alone.
TEST(ImageTraining, MultipliesConvolutionsInThePrecisionOfTheOption) {
  const nn::LabelledImages images = squares(64);
  TrainOptions options = small_options();
  options.max_steps = 1, options.ema = 0;
  const auto mean = [&] {
    const test::TempFolder folder;
    train_images(images, options, small_network("resnet"), folder.path());
    return weights_of(folder.path()).at("bn1.running_mean").clone();
  };
  const Tensor plain = mean();
  options.precision = DType::bf16;
  const Tensor rounded = mean();
  double most = 0;
  for (int64_t i = 0; i < plain.numel(); ++i) {
    const double difference = std::abs(double(plain.data<float>()[i]) - double(rounded.data<float>()[i]));
    most = std::max(most, difference);
  }
  EXPECT_GT(most, 1e-6);
  EXPECT_LT(most, 1e-2);
}

TEST(ImageTraining, RefusesOptionsOutOfRange) {
  const nn::LabelledImages images = squares(32);
  const test::TempFolder folder;
  ImageOptions more = small_network("resnet");
  more.augmentation.erase = 2;
  EXPECT_THROW(train_images(images, small_options(), more, folder.path()), ValueError);
  more = small_network("cnn");
  EXPECT_THROW(train_images(images, small_options(), more, folder.path()), ValueError);
  EXPECT_THROW(train_images({}, small_options(), small_network("resnet"), folder.path()), ValueError);
}

}  // namespace
}  // namespace qing::optim
