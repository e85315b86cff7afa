#include <qing/nn/models/residual_network.h>

#include <fmt/format.h>

#include <utility>

#include <qing/autograd/ops/pooling.h>
#include <qing/autograd/ops/views.h>
#include <qing/nn/init.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

void require_within(const char* name, int64_t value, int64_t most) {
  if (value < 1 || value > most) {
    throw ValueError(fmt::format("residual network: {} {} is outside 1 to {}", name, value, most));
  }
}

const ResidualNetworkConfig& checked_config(const ResidualNetworkConfig& config) {
  config.validate();
  return config;
}

Conv2d unbiased(int64_t in, int64_t out, int64_t kernel, int64_t stride, Generator& rng) {
  Conv2d conv(in, out, kernel, rng, {.stride = stride, .padding = kernel / 2}, false);
  Tensor weight = conv.get_parameter("weight");
  init::kaiming_normal(weight, rng, 0, init::FanMode::fan_out, init::Nonlinearity::relu);
  return conv;
}

}  // namespace

void ResidualNetworkConfig::validate() const {
  require_within("channels", channels, 4096);
  require_within("classes", classes, 1 << 20);
  require_within("blocks", blocks, 1000);
  require_within("number of widths", static_cast<int64_t>(widths.size()), 8);
  for (const int64_t width : widths) require_within("width", width, 65536);
}

ResidualBlock::ResidualBlock(int64_t in, int64_t out, int64_t stride, Generator& rng)
    : stride_(stride),
      conv1_(unbiased(in, out, 3, stride, rng)),
      conv2_(unbiased(out, out, 3, 1, rng)),
      bn1_(out),
      bn2_(out) {
  if (stride == 1 && in == out) return;
  downsample_.push_back(std::make_unique<Conv2d>(unbiased(in, out, 1, stride, rng)));
  downsample_.emplace<BatchNorm2d>(out);
}

void ResidualBlock::visit(Visitor& visitor) {
  visitor.module("conv1", conv1_);
  visitor.module("bn1", bn1_);
  visitor.module("conv2", conv2_);
  visitor.module("bn2", bn2_);
  if (downsample_.size() > 0) visitor.module("downsample", downsample_);
}

Tensor ResidualBlock::compute(const Tensor& x, Generator*) const {
  const Tensor inner = bn1_.forward_relu(conv1_.forward(x));
  return bn2_.forward_relu(conv2_.forward(inner), downsample_.size() > 0 ? downsample_.forward(x) : x);
}

ResidualNetwork::ResidualNetwork(const ResidualNetworkConfig& config, Generator& rng)
    : config_(checked_config(config)),
      conv1_(unbiased(config.channels, config.widths.front(), 3, 1, rng)),
      bn1_(config.widths.front()),
      stages_(config.widths.size()),
      fc_(config.widths.back(), config.classes, rng) {
  int64_t in = config.widths.front();
  for (size_t stage = 0; stage < stages_.size(); ++stage) {
    for (int64_t block = 0; block < config.blocks; ++block) {
      stages_[stage].emplace_back(in, config.widths[stage], stage > 0 && block == 0 ? 2 : 1, rng);
      in = config.widths[stage];
    }
  }
}

void ResidualNetwork::visit(Visitor& visitor) {
  visitor.module("conv1", conv1_);
  visitor.module("bn1", bn1_);
  for (size_t stage = 0; stage < stages_.size(); ++stage) {
    visitor.module(fmt::format("layer{}", stage + 1), stages_[stage]);
  }
  visitor.module("fc", fc_);
}

Tensor ResidualNetwork::compute(const Tensor& x, Generator*) const {
  Tensor y = bn1_.forward_relu(conv1_.forward(x));
  for (const auto& stage : stages_) {
    for (size_t block = 0; block < stage.size(); ++block) y = stage[block].forward(y);
  }
  return fc_.forward(reshape(adaptive_avg_pool2d(y, 1), {y.size(0), y.size(1)}));
}

}  // namespace qing::nn
