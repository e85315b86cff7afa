#include <qing/nn/models/folded_network.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

constexpr double kNormEps = BatchNormOptions().eps;
constexpr int64_t kBorder = 1;  // zeros around an image, which 3×3 windows see

int64_t halved(int64_t size, int64_t stride) { return (size - 1) / stride + 1; }

}  // namespace

FoldedResidualNetwork::Convolution FoldedResidualNetwork::fold(const StateDict& state, const std::string& conv,
                                                               const std::string& norm, int64_t stride) {
  const Tensor weight = state.at(conv + ".weight").contiguous();
  const int64_t filters = weight.size(0), depth = weight.numel() / filters;
  const Tensor folded = Tensor::empty(weight.shape()), bias = Tensor::empty({filters});
  const auto value = [&](const char* name, int64_t f) {
    return static_cast<double>(state.at(norm + name).data<float>()[f]);
  };
  for (int64_t f = 0; f < filters; ++f) {
    const double factor = value(".weight", f) / std::sqrt(value(".running_var", f) + kNormEps);
    const double shift = value(".bias", f) - factor * value(".running_mean", f);
    bool finite = std::isfinite(shift);
    bias.data<float>()[f] = static_cast<float>(shift);
    for (int64_t i = 0; i < depth; ++i) {
      const double product = factor * static_cast<double>(weight.data<float>()[f * depth + i]);
      finite = finite && std::isfinite(product);
      folded.data<float>()[f * depth + i] = static_cast<float>(product);
    }
    if (!finite) throw ValueError(fmt::format("{}: filter {} is not finite with its norm", conv, f));
  }
  const int64_t channels = weight.size(1), kernel = weight.size(2);
  bytes_ += static_cast<size_t>(weight.numel() + filters) * sizeof(float);
  return {
      PackedFilters<float>(
          {folded.data<float>(), filters, channels, depth, kernel * kernel, kernel, {0, 1, kernel}, {0, 1, kernel}}),
      bias, stride};
}

FoldedResidualNetwork::FoldedResidualNetwork(ResidualNetwork& network) : config_(network.config()) {
  const StateDict state = network.state_dict();
  stem_ = fold(state, "conv1", "bn1", 1);
  for (size_t stage = 0; stage < config_.widths.size(); ++stage) {
    for (int64_t i = 0; i < config_.blocks; ++i) {
      const std::string name = fmt::format("layer{}.{}.", stage + 1, i);
      const int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      Block block{fold(state, name + "conv1", name + "bn1", stride), fold(state, name + "conv2", name + "bn2", 1), {}};
      if (state.contains(name + "downsample.0.weight")) {
        block.shortcut.push_back(fold(state, name + "downsample.0", name + "downsample.1", stride));
      }
      blocks_.push_back(std::move(block));
    }
  }
  fc_weight_ = state.at("fc.weight").contiguous();
  fc_bias_ = state.at("fc.bias").contiguous();
  bytes_ += static_cast<size_t>(fc_weight_.numel() + fc_bias_.numel()) * sizeof(float);
}

// One thread's way through the layers, one image after another.
class FoldedResidualNetwork::Walk {
 public:
  Walk(const FoldedResidualNetwork& network, int64_t height, int64_t width)
      : network_(network), height_(height), width_(width) {
    int64_t most = place(0, height, width, network.config_.channels).elements;
    int64_t h = height, w = width;
    const auto count = [&](int64_t channels) { most = std::max(most, place(0, h, w, channels).elements); };
    count(network.stem_.filters.filters());
    for (const Block& block : network.blocks_) {
      h = halved(h, block.first.stride);
      w = halved(w, block.first.stride);
      count(block.second.filters.filters());
    }
    for (Tensor& buffer : buffers_) buffer = Tensor::empty({most});
  }

  void run(const float* image, float* logits) {
    Place x = place(0, height_, width_, network_.config_.channels);
    load_pixels(image, x.channels, x.height, x.width, x.height * x.width, -kBorder, x.height + 2 * kBorder, -kBorder,
                x.width + 2 * kBorder, x.whole);
    x = convolve(network_.stem_, x, 1, nullptr, true);
    for (const Block& block : network_.blocks_) {
      // Four buffers: the input, what is inside the block, its result, and the input's way around.
      const Place inner = convolve(block.first, x, free(x.buffer, x.buffer), nullptr, true);
      const Place around = block.shortcut.empty()
                               ? x
                               : convolve(block.shortcut.front(), x, free(x.buffer, inner.buffer), nullptr, false);
      const size_t last = free_of({x.buffer, inner.buffer, around.buffer});
      x = convolve(block.second, inner, last, &around, true);
    }
    pool(x, logits);
  }

 private:
  // An image in a buffer, with a border.
  struct Place {
    size_t buffer;
    int64_t height, width, channels, elements;
    Pixels<float> whole;  // with the border
    float* inside() const { return whole.at(kBorder, kBorder); }
  };

  Place place(size_t buffer, int64_t height, int64_t width, int64_t channels) const {
    const int64_t step = pixel_step<float>(channels), row = (width + 2 * kBorder) * step;
    float* data = buffers_[buffer].defined() ? buffers_[buffer].data<float>() : nullptr;
    return {buffer, height, width, channels, (height + 2 * kBorder) * row, {data, row, step}};
  }

  static size_t free(size_t a, size_t b) { return free_of({a, b}); }
  static size_t free_of(std::initializer_list<size_t> used) {
    size_t buffer = 0;
    while (std::ranges::find(used, buffer) != used.end()) ++buffer;
    return buffer;
  }

  Place convolve(const Convolution& conv, const Place& x, size_t buffer, const Place* residual, bool relu) {
    const int64_t kernel = conv.filters.rows(), filters = conv.filters.filters();
    const Place y = place(buffer, halved(x.height, conv.stride), halved(x.width, conv.stride), filters);
    clear_border(y);
    const int64_t shift = kBorder - kernel / 2;
    convolve_pixels<float>({.rows = y.height,
                            .columns = y.width,
                            .x = {x.whole.at(shift, shift), x.whole.row, x.whole.pixel},
                            .stride_h = conv.stride,
                            .stride_w = conv.stride,
                            .dilation_h = 1,
                            .dilation_w = 1,
                            .y = {y.inside(), y.whole.row, y.whole.pixel},
                            .base = residual != nullptr ? Pixels<const float>{residual->inside(), residual->whole.row,
                                                                              residual->whole.pixel}
                                                        : Pixels<const float>{nullptr, 0, 0},
                            .bias = conv.bias.data<float>(),
                            .relu = relu},
                           conv.filters, 0, filters);
    return y;
  }

  static void clear_border(const Place& y) {
    const auto clear = [&](int64_t i, int64_t j) { std::fill_n(y.whole.at(i, j), y.channels, 0.0F); };
    for (int64_t j = 0; j < y.width + 2 * kBorder; ++j) {
      clear(0, j);
      clear(y.height + kBorder, j);
    }
    for (int64_t i = 1; i <= y.height; ++i) {
      clear(i, 0);
      clear(i, y.width + kBorder);
    }
  }

  void pool(const Place& x, float* logits) {
    means_.assign(static_cast<size_t>(x.channels), 0);
    for (int64_t i = 0; i < x.height; ++i) {
      for (int64_t j = 0; j < x.width; ++j) {
        const float* pixel = x.whole.at(i + kBorder, j + kBorder);
        for (int64_t c = 0; c < x.channels; ++c) means_[static_cast<size_t>(c)] += static_cast<double>(pixel[c]);
      }
    }
    const auto pixels = static_cast<double>(x.height * x.width);
    const float *weight = network_.fc_weight_.data<float>(), *bias = network_.fc_bias_.data<float>();
    for (int64_t k = 0; k < network_.config_.classes; ++k) {
      double sum = static_cast<double>(bias[k]);
      for (int64_t c = 0; c < x.channels; ++c) {
        sum += means_[static_cast<size_t>(c)] / pixels * static_cast<double>(weight[k * x.channels + c]);
      }
      logits[k] = static_cast<float>(sum);
    }
  }

  const FoldedResidualNetwork& network_;
  int64_t height_, width_;
  Tensor buffers_[4];
  std::vector<double> means_;
};

Tensor FoldedResidualNetwork::forward(const Tensor& input) const {
  if (input.dtype() != DType::f32) throw DTypeError("residual network: images are f32");
  if (input.dim() != 4 || input.size(1) != config_.channels || input.size(2) < 1 || input.size(3) < 1) {
    throw ShapeError(fmt::format("residual network: images {}; needs [batch, {}, height, width]",
                                 to_string(input.shape()), config_.channels));
  }
  const Tensor x = input.contiguous();
  Tensor logits = Tensor::empty({x.size(0), config_.classes});
  const int64_t size = x.size(1) * x.size(2) * x.size(3);
  parallel_for(x.size(0), 1, [&](int64_t begin, int64_t end) {
    Walk walk(*this, x.size(2), x.size(3));
    for (int64_t n = begin; n < end; ++n) {
      walk.run(x.data<float>() + n * size, logits.data<float>() + n * config_.classes);
    }
  });
  return logits;
}

}  // namespace qing::nn
