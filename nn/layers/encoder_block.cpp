#include <qing/nn/layers/encoder_block.h>

#include <qing/autograd/ops.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {

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

Tensor Sublayers::activated(const Tensor& x, const Linear& wide) const {
  switch (options_.activation) {
    case FeedForwardActivation::relu: return relu(wide.forward(x));
    case FeedForwardActivation::gelu: return wide.forward_gelu(x);
    case FeedForwardActivation::gelu_tanh: return gelu(wide.forward(x), Approximation::tanh);
    case FeedForwardActivation::silu: return silu(wide.forward(x));
  }
  throw ValueError("Sublayers: not an activation");
}

Tensor Sublayers::add_feed_forward(const Tensor& x, const ResidualNorm& norm, const Linear& wide,
                                   const Linear& narrow) const {
  return add(x, norm,
             [&](const Tensor& in) { return narrow.forward(drop(activated(in, wide), options_.hidden_dropout)); });
}

}  // namespace qing::nn
