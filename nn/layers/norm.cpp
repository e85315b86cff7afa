#include <qing/nn/layers/norm.h>

#include <fmt/format.h>

#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/gradient_checkpoint.h>
#include <qing/autograd/ops/normalization.h>
#include <qing/autograd/ops/views.h>
#include <qing/nn/forgotten_layers.h>
#include <qing/nn/layers/check.h>
#include <qing/nn/training_mode.h>

namespace qing::nn {

LayerNorm::LayerNorm(int64_t width, double eps) : eps_(eps) {
  check_at_least("LayerNorm", "width", width, 1);
  weight_ = Tensor::full({width}, 1);
  bias_ = Tensor::zeros({width});
}

void LayerNorm::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

Tensor LayerNorm::compute(const Tensor& x, Generator*) const {
  note_use(*this, weight_);
  return layer_norm(x, weight_, bias_, eps_);
}

Tensor LayerNorm::forward_residual(const Tensor& x, const Tensor& residual, double p, Generator* rng) const {
  return dropout_add_layer_norm(x, residual, weight_, bias_, eps_, p, rng);
}

Tensor LayerNorm::forward_tables(const std::vector<TableRows>& tables, double p, Generator* rng) const {
  return embedding_layer_norm(tables, weight_, bias_, eps_, p, rng);
}

RMSNorm::RMSNorm(int64_t width, std::optional<double> eps) : eps_(eps) {
  check_at_least("RMSNorm", "width", width, 1);
  weight_ = Tensor::full({width}, 1);
}

void RMSNorm::visit(Visitor& visitor) { visitor.parameter("weight", weight_); }

Tensor RMSNorm::compute(const Tensor& x, Generator*) const {
  note_use(*this, weight_);
  return rms_norm(x, weight_.shape(), weight_, eps_);
}

Tensor RMSNorm::forward_residual(const Tensor& x, const Tensor& residual, double p, Generator* rng) const {
  return compute(residual + (rng != nullptr && p > 0 ? dropout(x, p, *rng) : x), nullptr);
}

RunningNorm::RunningNorm(const char* name, int64_t channels, BatchNormOptions options)
    : name_(name), channels_(channels), options_(options) {
  check_at_least(name, "channels", channels, 1);
  if (options.affine) {
    weight_ = Tensor::full({channels}, 1);
    bias_ = Tensor::zeros({channels});
  }
  if (options.track_running_stats) {
    running_mean_ = Tensor::zeros({channels});
    running_var_ = Tensor::full({channels}, 1);
    num_batches_tracked_ = Tensor::zeros({}, DType::i64);
  }
}

void RunningNorm::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
  visitor.buffer("running_mean", running_mean_, true);
  visitor.buffer("running_var", running_var_, true);
  visitor.buffer("num_batches_tracked", num_batches_tracked_, true);
}

void RunningNorm::check(const Tensor& x, int64_t least, int64_t most, int64_t channel_dim) const {
  if (x.dim() >= least && x.dim() <= most && x.size(channel_dim) == channels_) return;
  throw ShapeError(fmt::format("{}: x {}; needs {} to {} dimensions, of them {} channels", name_, to_string(x.shape()),
                               least, most, channels_));
}

Tensor BatchNorm::compute(const Tensor& x, Generator*) const {
  note_use(*this, weight_);
  check(x, least_rank_, most_rank_, 1);
  note_mode(*this, x);
  Tensor y = batch_norm(x, running_mean_, running_var_, weight_, bias_, by_input(), options_.momentum, options_.eps);
  count_batch();
  return y;
}

Tensor BatchNorm::forward_relu(const Tensor& x, const Tensor& residual) const {
  note_use(*this, weight_);
  check(x, least_rank_, most_rank_, 1);
  note_mode(*this, x);
  Tensor y = batch_norm_relu(x, residual, running_mean_, running_var_, weight_, bias_, by_input(), options_.momentum,
                             options_.eps);
  count_batch();
  return y;
}

void BatchNorm::count_batch() const {
  if (!by_input() || !options_.track_running_stats || recomputing()) return;
  Tensor count = num_batches_tracked_;
  count.fill(count.item() + 1);
}

// Like PyTorch's, it does not count batches.
Tensor InstanceNorm::compute(const Tensor& x, Generator*) const {
  note_use(*this, weight_);
  check(x, rank_ - 1, rank_, x.dim() == rank_ ? 1 : 0);
  const auto normalised = [this](const Tensor& batch) {
    return instance_norm(batch, running_mean_, running_var_, weight_, bias_, by_input(), options_.momentum,
                         options_.eps);
  };
  return x.dim() == rank_ ? normalised(x) : squeeze(normalised(unsqueeze(x, 0)), 0);
}

GroupNorm::GroupNorm(int64_t num_groups, int64_t channels, GroupNormOptions options)
    : num_groups_(num_groups), eps_(options.eps) {
  check_at_least("GroupNorm", "num_groups", num_groups, 1);
  check_at_least("GroupNorm", "channels", channels, 1);
  if (channels % num_groups != 0) {
    throw ValueError(fmt::format("GroupNorm: {} channels do not divide into {} groups", channels, num_groups));
  }
  if (!options.affine) return;
  weight_ = Tensor::full({channels}, 1);
  bias_ = Tensor::zeros({channels});
}

void GroupNorm::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

Tensor GroupNorm::compute(const Tensor& x, Generator*) const {
  note_use(*this, weight_);
  return group_norm(x, num_groups_, weight_, bias_, eps_);
}

}  // namespace qing::nn
