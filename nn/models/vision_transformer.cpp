#include <qing/nn/models/vision_transformer.h>

#include <fmt/format.h>

#include <cmath>
#include <utility>
#include <vector>

#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>
#include <qing/nn/layers/container.h>
#include <qing/nn/layers/conv.h>
#include <qing/nn/layers/encoder_block.h>
#include <qing/nn/layers/projected_attention.h>
#include <qing/nn/models/module_group.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr const char* kVisionName = "VisionTransformer";

class PatchAttention : public ProjectedAttention {
 public:
  PatchAttention(const VisionTransformerConfig& c, Generator& rng)
      : ProjectedAttention(kVisionName, c.hidden_size,
                           {.heads = c.num_attention_heads, .dropout = c.attention_probs_dropout_prob}, rng,
                           {.stddev = c.initializer_range}) {}
  void visit(Visitor& visitor) override {
    visitor.module("q_proj", query_);
    visitor.module("k_proj", key_);
    visitor.module("v_proj", value_);
    visitor.module("o_proj", output_);
  }
};

EncoderBlockOptions block_options(const VisionTransformerConfig& c) {
  return {.name = kVisionName,
          .width = c.hidden_size,
          .hidden = c.intermediate_size,
          .sublayers = {.dropout = c.hidden_dropout_prob,
                        .hidden_dropout = c.hidden_dropout_prob,
                        .activation = FeedForwardActivation::gelu,
                        .norm_first = true},
          .norm_eps = c.layer_norm_eps,
          .linear = {.stddev = c.initializer_range}};
}

class PatchBlock : public EncoderBlock<PatchAttention> {
 public:
  PatchBlock(const VisionTransformerConfig& c, Generator& rng)
      : EncoderBlock(PatchAttention(c, rng), block_options(c), rng) {}
  void visit(Visitor& visitor) override {
    visitor.module("attention", attention_);
    visitor.module("mlp", mlp_);
    visitor.module("layernorm_before", *attention_norm_);
    visitor.module("layernorm_after", *feed_forward_norm_);
  }

 private:
  ModuleGroup mlp_{{{"fc1", &wide_}, {"fc2", &narrow_}}};
};

void require_vision_size(const char* name, int64_t value, int64_t most) {
  if (value < 1 || value > most) {
    throw ValueError(fmt::format("vision transformer: {} {} is outside 1 to {}", name, value, most));
  }
}

}  // namespace

std::string_view name_of(PatchPooling pooling) { return pooling == PatchPooling::cls ? "cls" : "mean"; }

void VisionTransformerConfig::validate() const {
  require_vision_size("num_channels", num_channels, 4096);
  require_vision_size("image_height", image_height, 4096);
  require_vision_size("image_width", image_width, 4096);
  require_vision_size("patch_size", patch_size, 4096);
  require_vision_size("hidden_size", hidden_size, 65536);
  require_vision_size("num_hidden_layers", num_hidden_layers, 1000);
  require_vision_size("num_attention_heads", num_attention_heads, 65536);
  require_vision_size("intermediate_size", intermediate_size, 1 << 20);
  require_vision_size("classes", classes, 1 << 20);
  if (image_height % patch_size != 0 || image_width % patch_size != 0) {
    throw ValueError(fmt::format("vision transformer: patch_size {} does not divide {} x {} pixels", patch_size,
                                 image_width, image_height));
  }
  if (hidden_size % num_attention_heads != 0) {
    throw ValueError(
        fmt::format("vision transformer: {} heads do not divide hidden_size {}", num_attention_heads, hidden_size));
  }
  for (const double p : {hidden_dropout_prob, attention_probs_dropout_prob}) {
    if (!(p >= 0 && p < 1)) throw ValueError(fmt::format("vision transformer: dropout {} is outside [0, 1)", p));
  }
  if (!(layer_norm_eps > 0 && layer_norm_eps < 1)) {
    throw ValueError(fmt::format("vision transformer: layer_norm_eps {} is outside (0, 1)", layer_norm_eps));
  }
  if (!(initializer_range >= 0 && std::isfinite(initializer_range))) {
    throw ValueError(
        fmt::format("vision transformer: initializer_range {} is not finite and at least 0", initializer_range));
  }
}

class VisionTransformer::Parts {
 public:
  Parts(const VisionTransformerConfig& c, Generator& rng)
      : config(c),
        projection(c.num_channels, c.hidden_size, c.patch_size, rng, {.stride = c.patch_size}),
        positions(Tensor::empty({1, c.patches() + (has_token() ? 1 : 0), c.hidden_size})),
        norm(c.hidden_size, c.layer_norm_eps),
        classifier(c.hidden_size, c.classes, rng, {.stddev = c.initializer_range}) {
    if (has_token()) {
      token = Tensor::empty({1, 1, c.hidden_size});
      init::trunc_normal(token, rng, 0, c.initializer_range);
    }
    init::trunc_normal(positions, rng, 0, c.initializer_range);
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) blocks.emplace_back(c, rng);
  }

  bool has_token() const { return config.pooling == PatchPooling::cls; }

  // "vit.embeddings": the tensors that belong to no layer.
  class Embeddings : public Module {
   public:
    explicit Embeddings(Parts& parts) : parts_(parts) {}
    void visit(Visitor& visitor) override {
      visitor.parameter("cls_token", parts_.token);
      visitor.parameter("position_embeddings", parts_.positions);
      visitor.module("patch_embeddings", patches_);
    }

   private:
    Parts& parts_;
    ModuleGroup patches_{{{"projection", &parts_.projection}}};
  };

  VisionTransformerConfig config;
  Conv2d projection;
  Tensor token, positions;  // no token with the pooling "mean"
  ModuleList<PatchBlock> blocks;
  LayerNorm norm;
  Linear classifier;
  Embeddings embeddings{*this};
  ModuleGroup vit{{{"embeddings", &embeddings}, {"layers", &blocks}, {"layernorm", &norm}}};
};

VisionTransformer::VisionTransformer(const VisionTransformerConfig& config, Generator& rng) {
  config.validate();
  parts_ = std::make_unique<Parts>(config, rng);
}
VisionTransformer::~VisionTransformer() = default;
VisionTransformer::VisionTransformer(VisionTransformer&&) noexcept = default;
VisionTransformer& VisionTransformer::operator=(VisionTransformer&&) noexcept = default;

const VisionTransformerConfig& VisionTransformer::config() const { return parts_->config; }

void VisionTransformer::visit(Visitor& visitor) {
  visitor.module("vit", parts_->vit);
  visitor.module("classifier", parts_->classifier);
}

Tensor VisionTransformer::compute(const Tensor& x, Generator* rng) const {
  const Parts& parts = *parts_;
  const VisionTransformerConfig& c = parts.config;
  if (x.dim() != 4 || x.size(1) != c.num_channels || x.size(2) != c.image_height || x.size(3) != c.image_width) {
    throw ShapeError(fmt::format("{}: images {}; needs [batch, {}, {}, {}]", kVisionName, to_string(x.shape()),
                                 c.num_channels, c.image_height, c.image_width));
  }
  const bool drops = training() && c.hidden_dropout_prob > 0;
  if (drops) check_generator(kVisionName, rng);
  const int64_t images = x.size(0), width = c.hidden_size, length = parts.positions.size(1);
  Tensor rows = permute(reshape(parts.projection.forward(x), {images, width, c.patches()}), {0, 2, 1});
  if (parts.has_token()) rows = cat({expand(parts.token, {images, 1, width}), rows}, 1);
  rows = reshape(rows + parts.positions, {images * length, width});
  if (drops) rows = dropout(rows, c.hidden_dropout_prob, *rng);
  Offsets offsets, firsts;
  for (int64_t i = 0; i <= images; ++i) {
    offsets.push_back(i * length);
    firsts.push_back(i);
  }
  const size_t whole = parts.blocks.size() - (parts.has_token() ? 1 : 0);
  for (size_t i = 0; i < whole; ++i) rows = parts.blocks[i].forward(rows, offsets, false, rng);
  if (!parts.has_token()) {
    const Tensor hidden = reshape(parts.norm.forward(rows), {images, length, width});
    return parts.classifier.forward(mean(hidden, {1}));
  }
  // Of the last block only the class token's row is needed.
  const Tensor tokens = reshape(slice(reshape(rows, {images, length, width}), 1, 0, 1), {images, width});
  const Tensor hidden = parts.blocks[whole].forward_rows(tokens, firsts, rows, offsets, rng);
  return parts.classifier.forward(parts.norm.forward(hidden));
}

}  // namespace qing::nn
