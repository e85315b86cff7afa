// A vision transformer (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words") of the encoder block of the text
// encoders.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include <qing/nn/module.h>

namespace qing::nn {

enum class PatchPooling : uint8_t {
  cls,   ///< the class token's hidden state
  mean,  ///< the mean of all patches (Beyer, Zhai & Kolesnikov 2022); there is no class token
};
std::string_view name_of(PatchPooling pooling);  ///< "cls", "mean"

/// Names and meanings are those of transformers' ViTConfig, where it has the setting.
struct VisionTransformerConfig {
  int64_t num_channels = 1, image_height = 28, image_width = 28;
  int64_t patch_size = 4;  ///< a divisor of both sides
  int64_t hidden_size = 128, num_hidden_layers = 4, num_attention_heads = 4, intermediate_size = 256;
  double hidden_dropout_prob = 0, attention_probs_dropout_prob = 0;
  double layer_norm_eps = 1e-12, initializer_range = 0.02;
  PatchPooling pooling = PatchPooling::cls;
  int64_t classes = 10;

  int64_t patches() const { return image_height / patch_size * (image_width / patch_size); }
  /// ValueError naming the field, unless sizes are positive, patch_size divides both sides, the heads divide the width,
  /// probabilities are in [0, 1), layer_norm_eps is in (0, 1), and initializer_range is finite and not negative.
  void validate() const;
};

/// Images [batch, channels, height, width] to logits [batch, classes]: patches through a linear layer, positions,
/// blocks with the norm first, a norm, and a linear layer. Patches of all images are one ragged batch. Parameter names
/// are those of transformers' ViTForImageClassification. In training mode `rng` feeds the dropouts (ValueError if null
/// and a dropout is not 0). ShapeError for images of another size. In evaluation mode it may be called from many
/// threads, and an image's logits do not depend on the batch, to the bit.
class VisionTransformer : public UnaryModule {
 public:
  /// ValueError from VisionTransformerConfig::validate.
  VisionTransformer(const VisionTransformerConfig& config, Generator& rng);
  ~VisionTransformer() override;
  VisionTransformer(VisionTransformer&&) noexcept;
  VisionTransformer& operator=(VisionTransformer&&) noexcept;
  void visit(Visitor& visitor) override;
  const VisionTransformerConfig& config() const;

 private:
  class Parts;
  Tensor compute(const Tensor& x, Generator* rng) const override;
  std::unique_ptr<Parts> parts_;
};

}  // namespace qing::nn
