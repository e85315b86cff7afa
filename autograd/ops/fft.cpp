// All transforms are made of one: that of complex lanes, whose adjoint is itself with the other sign.
#include <qing/autograd/ops/fft.h>

#include <fmt/format.h>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/rearrange.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/decompositions.h>

namespace qing::fft {
namespace {

// Of x [..., n, 2], not divided by n.
Tensor transformed(const Tensor& x, bool inverse) {
  const Tensor lanes = x.alias().to(DType::f64).contiguous().reshape({x.numel() / (2 * x.size(-2)), x.size(-2), 2});
  Tensor y = fourier_of(lanes, inverse).reshape(x.shape()).to(x.dtype());
  if (recording({x})) {
    record("fft", y, {x}, [inverse](const Tensor& dy, GradSink& grad) { grad.add(0, transformed(dy, !inverse)); });
  }
  return y;
}

// Complex x, or real x, with its dimension in front of the last one of complex numbers.
struct Lanes {
  Tensor x;
  int64_t dim;
};

Lanes complex_lanes(const Tensor& x, int64_t dim, const char* op) {
  check_floating(x, op);
  if (x.dim() < 2 || x.size(-1) != 2) {
    throw ShapeError(fmt::format("{}: complex numbers are [..., 2], real and imaginary parts; got shape {}", op,
                                 to_string(x.shape())));
  }
  const int64_t d = wrap_dim(dim, x.dim() - 1, op);
  return {transpose(x, d, -2), d};
}

Lanes real_lanes(const Tensor& x, int64_t dim, const char* op) {
  check_floating(x, op);
  const int64_t d = wrap_dim(dim, x.dim(), op);
  return {transpose(x, d, -1), d};
}

int64_t length_of(std::optional<int64_t> n, int64_t size, const char* op) {
  const int64_t length = n.value_or(size);
  if (length < 1) throw ValueError(fmt::format("{}: a transform of {} numbers; at least 1 is needed", op, length));
  return length;
}

// The dimension before the last cut or filled with zeros.
Tensor resized(const Tensor& x, int64_t n) { return x.size(-2) == n ? x : pad(x, {0, 0, 0, n - x.size(-2)}); }

Tensor complex_transform(const Tensor& x, std::optional<int64_t> n, int64_t dim, bool inverse, const char* op) {
  const Lanes lanes = complex_lanes(x, dim, op);
  const int64_t length = length_of(n, lanes.x.size(-2), op);
  const Tensor y = transformed(resized(lanes.x, length), inverse);
  return transpose(inverse ? div(y, static_cast<double>(length)) : y, lanes.dim, -2);
}

}  // namespace

Tensor fft(const Tensor& x, std::optional<int64_t> n, int64_t dim) {
  return complex_transform(x, n, dim, false, "fft");
}
Tensor ifft(const Tensor& y, std::optional<int64_t> n, int64_t dim) {
  return complex_transform(y, n, dim, true, "ifft");
}

Tensor rfft(const Tensor& x, std::optional<int64_t> n, int64_t dim) {
  const Lanes lanes = real_lanes(x, dim, "rfft");
  const int64_t length = length_of(n, lanes.x.size(-1), "rfft");
  const Tensor real = resized(unsqueeze(lanes.x, -1), length);
  const Tensor y = transformed(cat({real, Tensor::zeros(real.shape(), real.dtype())}, -1), false);
  return transpose(slice(y, -2, 0, length / 2 + 1), lanes.dim, -2);
}

Tensor irfft(const Tensor& y, std::optional<int64_t> n, int64_t dim) {
  const Lanes lanes = complex_lanes(y, dim, "irfft");
  const int64_t length = length_of(n, 2 * (lanes.x.size(-2) - 1), "irfft"), half = length / 2 + 1;
  // Every number but the first and, for even n, the last stands for its conjugate too.
  Tensor shares = Tensor::full({half, 1}, 2, y.dtype());
  shares.slice(0, 0, 1).fill(1);
  if (length % 2 == 0) shares.slice(0, half - 1, half).fill(1);
  const Tensor weighted = mul(resized(lanes.x, half), shares);
  const Tensor x = select(transformed(resized(weighted, length), true), -1, 0);
  return transpose(div(x, static_cast<double>(length)), lanes.dim, -1);
}

}  // namespace qing::fft
