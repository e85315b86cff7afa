#include <qing/nn/layers/linear.h>

#include <fmt/format.h>

#include <cmath>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>
#include <qing/tensor/ops/gemm.h>

namespace qing::nn {

Linear::Linear(int64_t in_features, int64_t out_features, Generator& rng, LinearOptions options) {
  check_at_least("Linear", "in_features", in_features, 0);
  check_at_least("Linear", "out_features", out_features, 0);
  weight_ = Tensor::empty({out_features, in_features});
  if (options.bias) bias_ = Tensor::zeros({out_features});
  if (options.stddev) {
    init::normal(weight_, rng, 0, *options.stddev);
  } else {
    init::linear_default(weight_, bias_, rng);
  }
}

void Linear::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

// The handle keeps the weight's memory, so that no other tensor can have its place.
struct Linear::Packed {
  Tensor weight;
  uint64_t version;
  PackedMatrix<float> matrix;
};

void Linear::pack() {
  packed_ = nullptr;
  if (weight_.dtype() != DType::f32) return;
  const Tensor w = weight_.alias().contiguous();
  packed_ = std::make_shared<const Packed>(
      Packed{weight_.alias(), weight_.version(),
             PackedMatrix<float>(Trans::yes, w.size(1), w.size(0), w.data<float>(), w.size(1))});
}

bool Linear::packed_fits(const Tensor& x) const {
  if (packed_ == nullptr || grad_enabled()) return false;
  const bool same = weight_.shares_storage(packed_->weight) && weight_.version() == packed_->version;
  return same && x.dtype() == DType::f32 && x.dim() >= 1 && x.size(-1) == weight_.size(1);
}

Tensor Linear::packed_product(const Tensor& x, bool gelu) const {
  const Tensor in = x.contiguous();
  Shape shape = x.shape();
  shape.back() = weight_.size(0);
  Tensor y = Tensor::empty(shape, DType::f32);
  if (y.numel() == 0) return y;
  float* const out = y.data<float>();
  gemm(Trans::no, y.numel() / shape.back(), in.data<float>(), weight_.size(1), packed_->matrix, out, shape.back(),
       bias_.defined() ? bias_.data<float>() : nullptr, false, gelu ? out : nullptr);
  return y;
}

Tensor Linear::compute(const Tensor& x, Generator*) const {
  return packed_fits(x) ? packed_product(x, false) : linear(x, weight_, bias_);
}
Tensor Linear::forward_gelu(const Tensor& x) const {
  return packed_fits(x) ? packed_product(x, true) : linear_gelu(x, weight_, bias_);
}

void pack_linear_layers(Module& module) {
  module.apply([](Module& part) {
    if (auto* layer = dynamic_cast<Linear*>(&part)) layer->pack();
  });
}

Bilinear::Bilinear(int64_t in1_features, int64_t in2_features, int64_t out_features, Generator& rng, bool bias) {
  check_at_least("Bilinear", "in1_features", in1_features, 1);
  check_at_least("Bilinear", "in2_features", in2_features, 1);
  check_at_least("Bilinear", "out_features", out_features, 1);
  const double bound = 1 / std::sqrt(static_cast<double>(in1_features));
  weight_ = Tensor::empty({out_features, in1_features, in2_features});
  init::uniform(weight_, rng, -bound, bound);
  if (!bias) return;
  bias_ = Tensor::empty({out_features});
  init::uniform(bias_, rng, -bound, bound);
}

void Bilinear::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

Tensor Bilinear::forward(const Tensor& x1, const Tensor& x2) const {
  const int64_t out = weight_.size(0), in1 = weight_.size(1), in2 = weight_.size(2);
  Shape leading = x1.shape(), other = x2.shape();
  const bool fits = !leading.empty() && !other.empty() && leading.back() == in1 && other.back() == in2;
  if (fits) leading.pop_back(), other.pop_back();
  if (!fits || leading != other) {
    throw ShapeError(fmt::format("Bilinear: x1 {} and x2 {}; needs [..., {}] and [..., {}]", to_string(x1.shape()),
                                 to_string(x2.shape()), in1, in2));
  }
  // W[o]ᵀ·x1 for every o, then its inner product with x2.
  const Tensor rows = reshape(x1, {-1, in1}), columns = reshape(permute(weight_, {0, 2, 1}), {out * in2, in1});
  const Tensor products = reshape(linear(rows, columns), {rows.size(0), out, in2}) * reshape(x2, {-1, 1, in2});
  Tensor y = sum(products, {2});
  if (bias_.defined()) y = y + bias_;
  leading.push_back(out);
  return reshape(y, leading);
}

}  // namespace qing::nn
