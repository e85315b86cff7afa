// Inference with an image classifier's folder: preprocessing, network, labels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/images/image.h>
#include <qing/nn/models/folded_network.h>
#include <qing/nn/models/image_config.h>
#include <qing/nn/models/pixel_gradients.h>
#include <qing/nn/models/task_model.h>
#include <qing/tensor/dtype.h>

namespace qing::nn {

struct ImagePrediction {
  int32_t label;              ///< index into labels()
  std::vector<float> scores;  ///< probability of every label, summing to 1
  std::vector<float> logits;
};

/// Immutable after load; may be called from many threads. The results of an image do not depend on the rest of the
/// batch, to the bit.
class ImageClassifier final : public TaskModel {
 public:
  /// Reads config.json and the weights (what open_weights() reads). A residual network computes in f32, with batch norm
  /// folded into its convolutions; the linear layers of a vision transformer compute in `precision`: f32, bf16 or i8.
  /// IoError; DataError naming the file; ValueError for a precision that the network does not have.
  static std::shared_ptr<const ImageClassifier> load(const std::filesystem::path& directory,
                                                     DType precision = DType::f32);

  /// One prediction per image, of any size and 1 or 3 channels, in order. ModelError for a score that is not
  /// finite.
  std::vector<ImagePrediction> predict(std::span<const Image> images) const;
  /// The same of fitted images u8 [images, height, width, channels]. ShapeError or DTypeError for others.
  std::vector<ImagePrediction> predict(const Tensor& images) const;
  /// The same of inputs f32 [images, channels, height, width], normalized.
  std::vector<ImagePrediction> predict_normalized(const Tensor& x) const;
  /// Explains the label that predict() gives. It costs about 100 times as much.
  ImageExplanation explain(const Image& image) const;
  /// The image, as the network sees it and `scale` times as large, in gray, with red where pixels support the label and
  /// blue where they oppose it. ValueError unless scale is in [1, 64].
  Image overlay(const Image& image, const ImageExplanation& explanation, int64_t scale) const;

  std::string_view task() const override { return kImage; }
  const std::vector<std::string>& labels() const override { return config_.labels; }
  const ImageConfig& config() const { return config_; }
  const ImagePreprocessing& preprocessing() const { return config_.preprocessing; }
  DType precision() const override { return precision_; }
  size_t weight_bytes() const override { return weight_bytes_; }
  std::vector<TensorDescription> inputs() const override;
  std::vector<TensorDescription> outputs() const override;
  bool can_replace(const TaskModel& other) const override;
  std::string answer_kind() const override;
  void try_out() const override;

  /// Use load().
  ImageClassifier(ImageConfig config, std::unique_ptr<UnaryModule> network, DType precision);

 private:
  Tensor logits_of(const Tensor& x) const;

  const ImageConfig config_;
  const std::unique_ptr<UnaryModule> network_;
  std::unique_ptr<const FoldedResidualNetwork> folded_;  // of a residual network
  const DType precision_;
  size_t weight_bytes_ = 0;
};

/// Writes a folder that ImageClassifier::load() loads: config.json and model.safetensors. On failure (IoError) what was
/// there before is untouched.
void save_image_classifier(const std::filesystem::path& directory, const ImageConfig& config, Module& network);

/// Reads the folder's configuration and weights into a new network in evaluation mode. Errors of
/// ImageClassifier::load().
std::unique_ptr<UnaryModule> load_image_network(const std::filesystem::path& directory, const ImageConfig& config);

}  // namespace qing::nn
