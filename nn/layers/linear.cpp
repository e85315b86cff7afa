#include <qing/nn/layers/linear.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <variant>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/forgotten_layers.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>
#include <qing/nn/layers/lora.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/ops/low_precision.h>

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
  if (adapted()) visitor.module("lora", *lora_);
}

void Linear::add_lora(int64_t rank, double alpha, Generator& rng) {
  if (lora_ != nullptr) throw ValueError("Linear::add_lora: there is LoRA already");
  lora_ = std::make_shared<Lora>(weight_.size(1), weight_.size(0), rank, alpha, rng);
  qing::set_requires_grad(weight_, false);
  if (bias_.defined()) qing::set_requires_grad(bias_, false);
  lora_->set_requires_grad(true);
}

void Linear::merge_lora() {
  if (!adapted()) return;
  const NoGradGuard guard;
  const Tensor merged = weight_ + lora_->delta();
  unmerged_ = std::exchange(weight_, merged);
}

void Linear::restore_lora() {
  if (unmerged_.defined()) weight_ = std::exchange(unmerged_, Tensor());
}

// The handle keeps the weight's memory alive, so that no other tensor can get the same address.
struct Linear::Packed {
  using Matrix = std::variant<PackedMatrix<float>, Bf16Matrix, Int8Matrix>;
  Tensor weight;
  uint64_t version;
  Matrix matrix;

  static Matrix matrix_of(const Tensor& w, DType precision) {
    const int64_t k = w.size(1), n = w.size(0);
    if (precision == DType::bf16) return Bf16Matrix(Trans::yes, k, n, w.data<float>(), k);
    if (precision == DType::i8 && k <= Int8Matrix::kMaxRows) return Int8Matrix(Trans::yes, k, n, w.data<float>(), k);
    return PackedMatrix<float>(Trans::yes, k, n, w.data<float>(), k);
  }
};

void Linear::pack(DType precision) {
  if (precision != DType::f32 && precision != DType::bf16 && precision != DType::i8) {
    throw ValueError(fmt::format("Linear::pack: {}; weights are packed in f32, bf16 or i8", name_of(precision)));
  }
  packed_ = nullptr;
  if (weight_.dtype() != DType::f32) return;
  const Tensor w = weight_.alias().contiguous();
  packed_ = std::make_shared<const Packed>(Packed{weight_.alias(), weight_.version(), Packed::matrix_of(w, precision)});
}

bool Linear::packed_is_usable() const {
  if (packed_ == nullptr || grad_enabled()) return false;
  return weight_.shares_storage(packed_->weight) && weight_.version() == packed_->version;
}

bool Linear::packed_fits(const Tensor& x) const {
  return packed_is_usable() && x.dtype() == DType::f32 && x.dim() >= 1 && x.size(-1) == weight_.size(1);
}

bool Linear::takes_bf16() const {
  return packed_is_usable() && !adapted() && packed_as<Bf16Matrix>() != nullptr && weight_.size(1) % 2 == 0;
}

int64_t Linear::packed_bytes() const {
  const bool bytes = packed_is_usable() && packed_as<Int8Matrix>() != nullptr;
  const bool words = packed_is_usable() && packed_as<Bf16Matrix>() != nullptr;
  return weight_.numel() * (bytes ? 1 : words ? 2 : static_cast<int64_t>(size_of(weight_.dtype())));
}

size_t Linear::copy_bytes() const {
  if (packed_ == nullptr) return 0;
  const size_t element = packed_as<Int8Matrix>() != nullptr ? 1 : packed_as<Bf16Matrix>() != nullptr ? 2 : 4;
  return static_cast<size_t>(packed_->weight.numel()) * element;
}

template <class Matrix> const Matrix* Linear::packed_as() const { return std::get_if<Matrix>(&packed_->matrix); }

Tensor Linear::packed_product(const Tensor& x, bool gelu) const {
  Shape shape = x.shape();
  shape.back() = weight_.size(0);
  Tensor y = Tensor::empty(shape, DType::f32);
  if (y.numel() == 0) return y;
  write_packed_product(x, y.data<float>(), shape.back(), gelu);
  return y;
}

// y[i] = W·x[i] + b, or GELU of that, for the rows of x, at least one.
void Linear::write_packed_product(const Tensor& x, float* y, int64_t row_stride, bool gelu) const {
  const Tensor in = x.contiguous();
  const int64_t k = weight_.size(1), rows = k == 0 ? 0 : in.numel() / k;
  if (const auto* matrix = packed_as<PackedMatrix<float>>()) {
    gemm(Trans::no, rows, in.data<float>(), k, *matrix, y, row_stride, bias_data(), false, gelu ? y : nullptr);
  } else if (const auto* words = packed_as<Bf16Matrix>()) {
    gemm(rows, in.data<float>(), k, *words, y, row_stride, bias_data(), gelu);
  } else {
    gemm(rows, in.data<float>(), k, *packed_as<Int8Matrix>(), y, row_stride, bias_data(), gelu);
  }
}

// W·x[i] + b for the rows of x in bf16.
Tensor Linear::product_of_bf16(const Tensor& x) const {
  Shape shape = x.shape();
  shape.back() = weight_.size(0);
  Tensor y = Tensor::empty(shape, DType::f32);
  if (y.numel() == 0) return y;
  const Tensor in = x.contiguous();
  const int64_t k = weight_.size(1);
  gemm(y.numel() / shape.back(), in.data<BFloat16>(), k, *packed_as<Bf16Matrix>(), y.data<float>(), shape.back(),
       bias_data());
  return y;
}

// The outputs of all layers side by side in y [..., their sum], if all are packed in this way. x has columns.
template <class Matrix, class Result>
bool Linear::write_joined(const Tensor& x, std::span<const Linear* const> layers, const Tensor& y) {
  std::vector<JoinedProduct<Matrix, Result>> products;
  Result* to = y.data<Result>();
  for (const Linear* layer : layers) {
    const Matrix* const matrix = layer->packed_as<Matrix>();
    if (matrix == nullptr || matrix->rows() == 0) return false;
    products.push_back({matrix, layer->bias_data(), to});
    to += matrix->columns();
  }
  const Tensor in = x.contiguous();
  gemm_joined(in.numel() / in.size(-1), in.data<float>(), in.size(-1),
              std::span<const JoinedProduct<Matrix, Result>>(products), y.size(-1));
  return true;
}

Tensor Linear::compute(const Tensor& x, Generator*) const {
  if (x.dtype() == DType::bf16 && takes_bf16() && x.dim() >= 1 && x.size(-1) == weight_.size(1)) {
    return product_of_bf16(x);
  }
  note_use(*this, weight_);
  const Tensor y = packed_fits(x) ? packed_product(x, false) : linear(x, weight_, bias_);
  return adapted() ? y + lora_->forward(x) : y;
}
Tensor Linear::forward_gelu(const Tensor& x) const {
  if (adapted()) return gelu(forward(x));
  note_use(*this, weight_);
  return packed_fits(x) ? packed_product(x, true) : linear_gelu(x, weight_, bias_);
}

namespace {

Shape joined_shape(const Tensor& x, std::span<const Linear* const> layers) {
  Shape shape = x.shape();
  shape.back() = 0;
  for (const Linear* layer : layers) shape.back() += layer->weight().size(0);
  return shape;
}

}  // namespace

Tensor forward_joined(const Tensor& x, std::span<const Linear* const> layers) {
  if (std::ranges::any_of(layers, [](const Linear* layer) { return layer->adapted(); })) {
    std::vector<Tensor> parts;
    for (const Linear* layer : layers) parts.push_back(layer->forward(x));
    return cat(parts, -1);
  }
  const auto fits = [&x](const Linear* layer) { return layer->packed_fits(x); };
  if (layers.empty() || !std::ranges::all_of(layers, fits)) {
    std::vector<Tensor> weights, biases;
    for (const Linear* layer : layers) weights.push_back(layer->weight()), biases.push_back(layer->bias());
    return linear_joined(x, weights, biases);
  }
  Tensor y = Tensor::empty(joined_shape(x, layers), DType::f32);
  if (y.numel() == 0) return y;
  if (Linear::write_joined<Int8Matrix, float>(x, layers, y) || Linear::write_joined<Bf16Matrix, float>(x, layers, y)) {
    return y;
  }
  float* to = y.data<float>();
  for (const Linear* layer : layers) {
    layer->write_packed_product(x, to, y.size(-1), false);
    to += layer->weight().size(0);
  }
  return y;
}

Tensor forward_joined_bf16(const Tensor& x, std::span<const Linear* const> layers) {
  const auto fits = [&x](const Linear* layer) { return layer->takes_bf16() && layer->packed_fits(x); };
  if (layers.empty() || !std::ranges::all_of(layers, fits)) return {};
  Tensor y = Tensor::empty(joined_shape(x, layers), DType::bf16);
  if (y.numel() > 0 && !Linear::write_joined<Bf16Matrix, BFloat16>(x, layers, y)) return {};
  return y;
}

// The feed-forward as one operation. Undefined unless both layers are packed in this way.
template <class Matrix> Tensor Linear::feed_forward_through(const Tensor& x, const Linear& wide, const Linear& narrow) {
  const Matrix *const first = wide.packed_as<Matrix>(), *const second = narrow.packed_as<Matrix>();
  if (first == nullptr || second == nullptr || first->rows() == 0) return {};
  const Tensor in = x.contiguous();
  Shape shape = x.shape();
  shape.back() = second->columns();
  Tensor y = Tensor::empty(shape, DType::f32);
  if (y.numel() == 0) return y;
  feed_forward(in.numel() / first->rows(), in.data<float>(), first->rows(), *first, wide.bias_data(), *second,
               narrow.bias_data(), y.data<float>(), second->columns());
  return y;
}

Tensor forward_gelu_through(const Tensor& x, const Linear& wide, const Linear& narrow) {
  const bool packed = !wide.adapted() && !narrow.adapted() && wide.packed_fits(x) && narrow.packed_is_usable() &&
                      wide.weight_.size(0) == narrow.weight_.size(1);
  Tensor y;
  if (packed) y = Linear::feed_forward_through<Int8Matrix>(x, wide, narrow);
  if (packed && !y.defined()) y = Linear::feed_forward_through<Bf16Matrix>(x, wide, narrow);
  return y.defined() ? y : narrow.forward(wide.forward_gelu(x));
}

namespace {

void each_linear(Module& module, const std::function<void(Linear&)>& function) {
  module.apply([&](Module& part) {
    if (auto* layer = dynamic_cast<Linear*>(&part)) function(*layer);
  });
}

}  // namespace

void pack_linear_layers(Module& module, DType precision) {
  each_linear(module, [precision](Linear& layer) { layer.pack(precision); });
}

size_t bytes_with_copies(Module& module) {
  size_t bytes = module.bytes();
  each_linear(module, [&bytes](const Linear& layer) { bytes += layer.copy_bytes(); });
  return bytes;
}

void add_lora(Module& module, int64_t rank, double alpha, Generator& rng) {
  each_linear(module, [&](Linear& layer) { layer.add_lora(rank, alpha, rng); });
}

MergedLora::MergedLora(Module& module) : module_(module) {
  each_linear(module_, [](Linear& layer) { layer.merge_lora(); });
}

MergedLora::~MergedLora() {
  each_linear(module_, [](Linear& layer) { layer.restore_lora(); });
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
  note_use(*this, weight_);
  // W[o]ᵀ·x1 for every o, then its inner product with x2.
  const Tensor rows = reshape(x1, {-1, in1}), columns = reshape(permute(weight_, {0, 2, 1}), {out * in2, in1});
  const Tensor products = reshape(linear(rows, columns), {rows.size(0), out, in2}) * reshape(x2, {-1, 1, in2});
  Tensor y = sum(products, {2});
  if (bias_.defined()) y = y + bias_;
  leading.push_back(out);
  return reshape(y, leading);
}

}  // namespace qing::nn
