// The networks of image classifiers, their files and their inference.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include <qing/autograd/autograd.h>
#include <qing/nn/models/image_classifier.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/threads.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

ImageConfig config_of(bool vit, PatchPooling pooling = PatchPooling::cls) {
  ImageConfig config;
  config.labels = {"a", "b", "c"};
  config.preprocessing.height = config.preprocessing.width = 12;
  config.preprocessing.mean = {0.3F};
  config.preprocessing.std = {0.4F};
  if (vit) {
    config.network = VisionTransformerConfig{.image_height = 12,
                                             .image_width = 12,
                                             .hidden_size = 32,
                                             .num_hidden_layers = 2,
                                             .num_attention_heads = 2,
                                             .intermediate_size = 64,
                                             .pooling = pooling,
                                             .classes = 3};
  } else {
    config.network = ResidualNetworkConfig{1, 3, {24, 40}, 2};
  }
  return config;
}

// Running statistics and norms other than their first values.
std::unique_ptr<UnaryModule> network_of(const ImageConfig& config) {
  Generator rng(3);
  std::unique_ptr<UnaryModule> network = config.build(rng);
  for (auto& [name, tensor] : network->state_dict()) {
    Tensor values = tensor;
    if (name.ends_with("running_mean") || name.ends_with("bias")) rng.fill_normal(values, 0, 0.2);
    if (name.ends_with("running_var")) rng.fill_uniform(values, 0.5, 2);
  }
  return network;
}

TEST(ImageNetworks, FoldedNormsChangeNoLogit) {
  const ImageConfig config = config_of(false);
  const auto network = network_of(config);
  Generator rng(1);
  for (const int64_t side : {12, 7}) {
    const Tensor x = randn({5, 1, side, side}, rng);
    const NoGradGuard no_grad;
    const Tensor plain = network->forward(x);
    const Tensor folded = FoldedResidualNetwork(dynamic_cast<ResidualNetwork&>(*network)).forward(x);
    for (int64_t i = 0; i < plain.numel(); ++i) {
      EXPECT_NEAR(plain.data<float>()[i], folded.data<float>()[i], 1e-5) << side;
    }
  }
}

TEST(ImageNetworks, AnImageDoesNotDependOnItsBatch) {
  for (const bool vit : {false, true}) {
    const ImageConfig config = config_of(vit);
    const ImageClassifier model(config, network_of(config), DType::f32);
    Generator rng(1);
    const Tensor x = randn({6, 1, 12, 12}, rng);
    const auto all = model.predict_normalized(x), one = model.predict_normalized(x.slice(0, 4, 5).contiguous());
    EXPECT_EQ(all[4].logits, one[0].logits) << vit;
  }
}

TEST(ImageNetworks, ScoresHaveTheSameBitsForAnyThreads) {
  const int threads = num_threads();
  for (const bool vit : {false, true}) {
    const ImageConfig config = config_of(vit);
    const ImageClassifier model(config, network_of(config), DType::f32);
    Generator rng(1);
    const Tensor x = randn({6, 1, 12, 12}, rng);
    set_num_threads(1);
    const auto alone = model.predict_normalized(x);
    for (const int other : {2, 3, 7}) {
      set_num_threads(other);
      const auto again = model.predict_normalized(x);
      for (size_t i = 0; i < alone.size(); ++i) {
        EXPECT_EQ(again[i].logits, alone[i].logits) << "vit " << vit << ", " << other << " threads, image " << i;
      }
    }
  }
  set_num_threads(threads);
}

TEST(ImageNetworks, FilesKeepTheModel) {
  for (const auto& config : {config_of(false), config_of(true), config_of(true, PatchPooling::mean)}) {
    const test::TempFolder folder;
    auto network = network_of(config);
    save_image_classifier(folder.path(), config, *network);
    const auto loaded = ImageClassifier::load(folder.path());
    const ImageClassifier model(config, std::move(network), DType::f32);
    Generator rng(1);
    const Tensor x = randn({2, 1, 12, 12}, rng);
    EXPECT_EQ(loaded->predict_normalized(x)[1].logits, model.predict_normalized(x)[1].logits);
    EXPECT_EQ(loaded->labels(), config.labels);
    EXPECT_EQ(loaded->preprocessing().mean, config.preprocessing.mean);
    EXPECT_TRUE(loaded->can_replace(model));
    loaded->try_out();
  }
}

TEST(ImageNetworks, ExplanationsSumToTheDifferenceOfTheScores) {
  for (const bool vit : {false, true}) {
    const ImageConfig config = config_of(vit);
    const ImageClassifier model(config, network_of(config), DType::f32);
    Image image = make_image(12, 12, 1);
    for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 31 % 256);
    const ImageExplanation explanation = model.explain(image);
    double sum = 0;
    for (int64_t i = 0; i < explanation.weights.numel(); ++i) {
      sum += static_cast<double>(explanation.weights.data<float>()[i]);
    }
    EXPECT_NEAR(sum, explanation.score - explanation.baseline, 0.02) << vit;
    EXPECT_NEAR(explanation.gap, std::abs(sum - (explanation.score - explanation.baseline)), 1e-4);
    EXPECT_EQ(model.overlay(image, explanation, 4).width, 48);
  }
}

TEST(ImageNetworks, SizesThatDisagreeAreRefused) {
  ImageConfig config = config_of(true);
  config.preprocessing.height = 16;
  EXPECT_THROW(config.validate(), ValueError);
  config = config_of(false);
  config.labels.pop_back();
  EXPECT_THROW(config.validate(), ValueError);
  EXPECT_THROW((VisionTransformerConfig{.patch_size = 5}).validate(), ValueError);
  EXPECT_THROW((ResidualNetworkConfig{.widths = {}}).validate(), ValueError);
}

}  // namespace
}  // namespace qing::nn
