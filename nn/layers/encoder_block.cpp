#include <qing/nn/layers/encoder_block.h>

#include <qing/autograd/ops.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {

Tensor activated_linear(const Tensor& x, const Linear& layer, FeedForwardActivation activation) {
  switch (activation) {
    case FeedForwardActivation::relu: return relu(layer.forward(x));
    case FeedForwardActivation::gelu: return layer.forward_gelu(x);
    case FeedForwardActivation::gelu_tanh: return gelu(layer.forward(x), Approximation::tanh);
    case FeedForwardActivation::silu: return silu(layer.forward(x));
  }
  throw ValueError("activated_linear: not an activation");
}

std::unique_ptr<ResidualNorm> make_norm(NormKind kind, int64_t width, double eps) {
  if (kind == NormKind::rms_norm) return std::make_unique<RMSNorm>(width, eps);
  return std::make_unique<LayerNorm>(width, eps);
}

Sublayers::Sublayers(const Module& block, const char* name, const SublayerOptions& options, Generator* rng)
    : options_(options), rng_(nullptr) {
  if (!block.training() || (options.dropout == 0 && options.hidden_dropout == 0)) return;
  check_generator(name, rng);
  rng_ = rng;
}

Tensor Sublayers::drop(const Tensor& x, double p) const { return rng_ != nullptr && p > 0 ? dropout(x, p, *rng_) : x; }

Tensor Sublayers::add_feed_forward(const Tensor& x, const ResidualNorm& norm, const Linear& wide, const Linear& narrow,
                                   const Linear* gate) const {
  return add(x, norm, [&](const Tensor& in) {
    const FeedForwardActivation activation = options_.activation;
    const bool drops = rng_ != nullptr && options_.hidden_dropout > 0;
    if (activation == FeedForwardActivation::gelu && gate == nullptr && !drops) {
      return forward_gelu_through(in, wide, narrow);
    }
    const Tensor hidden = gate == nullptr ? activated_linear(in, wide, activation)
                                          : activated_linear(in, *gate, activation) * wide.forward(in);
    return narrow.forward(drop(hidden, options_.hidden_dropout));
  });
}

}  // namespace qing::nn
