#include <qing/nn/models/image_classifier.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/softmax.h>
#include <qing/nn/formats/open_weights.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/models/model_error.h>
#include <qing/nn/staged_directory.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

// Images that pass a network together: more would leave the caches.
constexpr int64_t kTogether = 64;

}  // namespace

std::unique_ptr<UnaryModule> load_image_network(const std::filesystem::path& directory, const ImageConfig& config) {
  Generator rng;
  std::unique_ptr<UnaryModule> network;
  {
    const init::SkippedInit skipped;
    network = config.build(rng);
  }
  network->load_state_dict(open_weights(directory).state());
  network->eval();
  return network;
}

std::shared_ptr<const ImageClassifier> ImageClassifier::load(const std::filesystem::path& directory, DType precision) {
  ImageConfig config = ImageConfig::load(directory / "config.json");
  if (precision != DType::f32 && precision != DType::bf16 && precision != DType::i8) {
    throw ValueError(fmt::format("precision: {}; it must be f32, bf16 or i8", name_of(precision)));
  }
  if (precision != DType::f32 && config.architecture() == "resnet") {
    throw ValueError(fmt::format("precision: {}; a residual network computes in f32", name_of(precision)));
  }
  std::unique_ptr<UnaryModule> network = load_image_network(directory, config);
  try {
    return std::make_shared<const ImageClassifier>(std::move(config), std::move(network), precision);
  } catch (const ValueError& error) {  // of folding a network with a weight that is not finite
    throw DataError(
        fmt::format("{}: {}; save the model again, or train it anew", open_weights(directory).path(), error.what()));
  }
}

ImageClassifier::ImageClassifier(ImageConfig config, std::unique_ptr<UnaryModule> network, DType precision)
    : config_(std::move(config)), network_(std::move(network)), precision_(precision) {
  if (auto* resnet = dynamic_cast<ResidualNetwork*>(network_.get())) {
    folded_ = std::make_unique<const FoldedResidualNetwork>(*resnet);
    weight_bytes_ = network_->bytes() + folded_->bytes();
  } else {
    pack_linear_layers(*network_, precision);
    weight_bytes_ = bytes_with_copies(*network_);
  }
}

Tensor ImageClassifier::logits_of(const Tensor& x) const {
  if (folded_) return folded_->forward(x);
  const NoGradGuard no_grad;
  Tensor logits = Tensor::empty({x.size(0), static_cast<int64_t>(config_.labels.size())});
  for (int64_t first = 0; first < x.size(0); first += kTogether) {
    const int64_t last = std::min(first + kTogether, x.size(0));
    logits.slice(0, first, last).copy_from(network_->forward(x.slice(0, first, last)));
  }
  return logits;
}

std::vector<ImagePrediction> ImageClassifier::predict_normalized(const Tensor& x) const {
  const NoGradGuard no_grad;
  const Tensor logits = logits_of(x).contiguous(), scores = softmax(logits, -1).contiguous();
  const auto classes = static_cast<int64_t>(config_.labels.size());
  std::vector<ImagePrediction> predictions;
  for (int64_t n = 0; n < x.size(0); ++n) {
    const float *score = scores.data<float>() + n * classes, *logit = logits.data<float>() + n * classes;
    if (!std::all_of(score, score + classes, [](float v) { return std::isfinite(v); })) {
      throw ModelError(fmt::format("image {}: a score is not finite; check the model's weights", n));
    }
    predictions.push_back({static_cast<int32_t>(std::max_element(score, score + classes) - score),
                           {score, score + classes},
                           {logit, logit + classes}});
  }
  return predictions;
}

std::vector<ImagePrediction> ImageClassifier::predict(const Tensor& images) const {
  return predict_normalized(normalized(images, config_.preprocessing));
}

std::vector<ImagePrediction> ImageClassifier::predict(std::span<const Image> images) const {
  std::vector<Image> fitted;
  for (const Image& image : images) fitted.push_back(config_.preprocessing.fitted(image));
  return predict_normalized(normalized(fitted, config_.preprocessing));
}

ImageExplanation ImageClassifier::explain(const Image& image) const {
  const Image pair[] = {
      config_.preprocessing.fitted(image),
      make_image(config_.preprocessing.height, config_.preprocessing.width, config_.preprocessing.channels)};
  const Tensor x = normalized(pair, config_.preprocessing);
  const int32_t label = predict_normalized(x.slice(0, 0, 1)).front().label;
  return pixel_gradients(*network_, x.slice(0, 0, 1).contiguous(), x.slice(0, 1, 2).contiguous(), label);
}

Image ImageClassifier::overlay(const Image& image, const ImageExplanation& explanation, int64_t scale) const {
  if (scale < 1 || scale > 64) throw ValueError(fmt::format("overlay: scale {} is outside 1 to 64", scale));
  const ImagePreprocessing& p = config_.preprocessing;
  const Image seen = with_channels(p.fitted(image), 1);
  const Tensor weights = explanation.weights.contiguous();
  float most = 0;
  for (int64_t i = 0; i < weights.numel(); ++i) most = std::max(most, std::abs(weights.data<float>()[i]));
  Image result = make_image(p.height * scale, p.width * scale, 3);
  for (int64_t y = 0; y < result.height; ++y) {
    for (int64_t x = 0; x < result.width; ++x) {
      const int64_t pixel = y / scale * p.width + x / scale;
      const float weight = most > 0 ? weights.data<float>()[pixel] / most : 0;
      // The square root shows small weights too.
      const float strength = std::sqrt(std::abs(weight)),
                  gray = static_cast<float>(seen.pixels[static_cast<size_t>(pixel)]) / 2 + 64;
      const float colour[3] = {weight > 0 ? 255.0F : 0.0F, 0, weight < 0 ? 255.0F : 0.0F};
      for (int c = 0; c < 3; ++c) {
        result.row(y)[x * 3 + c] = static_cast<uint8_t>(std::lround(gray + (colour[c] - gray) * strength * 0.8F));
      }
    }
  }
  return result;
}

std::vector<TensorDescription> ImageClassifier::inputs() const {
  const ImagePreprocessing& p = config_.preprocessing;
  return {{"image", "UINT8", {-1, p.height, p.width, p.channels}}};
}

std::vector<TensorDescription> ImageClassifier::outputs() const {
  return {{"label", "BYTES", {-1}}, {"scores", "FP32", {-1, static_cast<int64_t>(config_.labels.size())}}};
}

bool ImageClassifier::can_replace(const TaskModel& other) const {
  if (!TaskModel::can_replace(other)) return false;
  // Clients of tensors send the network's own size.
  const auto& before = dynamic_cast<const ImageClassifier&>(other).config_.preprocessing;
  const auto& now = config_.preprocessing;
  return now.height == before.height && now.width == before.width && now.channels == before.channels;
}

std::string ImageClassifier::answer_kind() const {
  const ImagePreprocessing& p = config_.preprocessing;
  return fmt::format("{} for pictures of {} by {} in {} channels", TaskModel::answer_kind(), p.width, p.height,
                     p.channels);
}

void ImageClassifier::try_out() const {
  const ImagePreprocessing& p = config_.preprocessing;
  predict(Tensor::zeros({1, p.height, p.width, p.channels}, DType::u8));
}

void save_image_classifier(const std::filesystem::path& directory, const ImageConfig& config, Module& network) {
  config.validate();
  StagedDirectory staged(directory);
  config.save(staged.path() / "config.json");
  save_safetensors(staged.path() / "model.safetensors", {network.state_dict(), {{"format", "pt"}}});
  staged.commit();
}

}  // namespace qing::nn
