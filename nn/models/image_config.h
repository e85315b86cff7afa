// The configuration of an image classifier, in its config.json.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <qing/nn/images/resize.h>
#include <qing/nn/models/residual_network.h>
#include <qing/nn/models/vision_transformer.h>
#include <qing/nn/module.h>

namespace qing::nn {

inline constexpr std::string_view kImage = "image";

/// Sizes of the network that agree with the preprocessing and the labels.
struct ImageConfig {
  std::variant<ResidualNetworkConfig, VisionTransformerConfig> network;
  ImagePreprocessing preprocessing = {};
  std::vector<std::string> labels = {};

  std::string_view architecture() const;  ///< "resnet", "vit"
  /// The network with weights drawn from `rng`.
  std::unique_ptr<UnaryModule> build(Generator& rng) const;
  /// ValueError naming the field, unless the network and the preprocessing are valid and agree, and there are at least
  /// 2 labels with names as check_label_names() wants them, as many as the network has classes.
  void validate() const;
  /// DataError "path: field: what" when the file is not JSON, has a name twice in one object, is of another task, or
  /// describes a network that qing does not have. IoError when it cannot be read.
  static ImageConfig load(const std::filesystem::path& path);
  /// "task" is "image". A vision transformer with a class token has the fields of transformers' ViTConfig, and
  /// ViTForImageClassification loads it. IoError.
  void save(const std::filesystem::path& path) const;
};

}  // namespace qing::nn
