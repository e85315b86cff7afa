#include <qing/nn/init.h>

#include <fmt/format.h>

#include <algorithm>
#include <numbers>
#include <numeric>
#include <utility>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/tensor/dispatch.h>

namespace qing::nn::init {
namespace {

thread_local bool skipped = false;

int64_t fan_of(const Tensor& weight, FanMode mode) {
  const Fans fans = calculate_fans(weight);
  return std::max<int64_t>(mode == FanMode::fan_in ? fans.in : fans.out, 1);
}

double kaiming_stddev(const Tensor& weight, double a, FanMode mode, Nonlinearity nonlinearity) {
  return calculate_gain(nonlinearity, a) / std::sqrt(static_cast<double>(fan_of(weight, mode)));
}

double xavier_stddev(const Tensor& weight, double gain) {
  const Fans fans = calculate_fans(weight);
  return gain * std::sqrt(2 / static_cast<double>(std::max<int64_t>(fans.in + fans.out, 1)));
}

// A uniform distribution with the bound sqrt(3)·σ has the standard deviation σ.
void uniform_of_stddev(Tensor& tensor, Generator& rng, double stddev) {
  const double bound = std::numbers::sqrt3 * stddev;
  if (bound > 0) {
    uniform(tensor, rng, -bound, bound);
  } else {
    zeros(tensor);
  }
}

void check_matrix(const Tensor& tensor, const char* op) {
  if (tensor.dim() != 2) {
    throw ShapeError(fmt::format("{}: needs a matrix, got shape {}", op, to_string(tensor.shape())));
  }
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

// The inverse of the error function: Winitzki's approximation (2008), accurate to 2e-3, then Newton's method.
double erfinv(double y) {
  constexpr double a = 0.147;
  constexpr double kLast = 1 - 0x1p-53;  // beyond it the result is infinite
  y = std::clamp(y, -kLast, kLast);
  const double log_part = std::log1p(-y * y), term = 2 / (std::numbers::pi * a) + log_part / 2;
  double x = std::copysign(std::sqrt(std::sqrt(term * term - log_part / a) - term), y);
  for (int i = 0; i < 3; ++i) x -= (std::erf(x) - y) * std::sqrt(std::numbers::pi) / 2 * std::exp(x * x);
  return x;
}

// Writes one value per element. The values are computed in double.
void write(Tensor& tensor, const std::vector<double>& values) {
  const NoGradGuard guard;
  tensor.copy_from(Tensor::from<double>(values, tensor.shape()));
}

// Overwrites a rows×columns matrix, rows ≥ columns, with the Q of its QR decomposition where R has a positive diagonal.
void orthonormalise(std::vector<double>& m, int64_t rows, int64_t columns) {
  const auto at = [&](int64_t i, int64_t j) -> double& { return m[static_cast<size_t>(i * columns + j)]; };
  std::vector<std::vector<double>> reflectors;
  std::vector<double> signs;
  // q ← q − 2·v·(vᵀq) for column j of the matrix, rows from `first`.
  const auto reflect = [&](const std::vector<double>& v, int64_t first, int64_t j) {
    double inner = 0;
    for (int64_t i = first; i < rows; ++i) inner += v[static_cast<size_t>(i - first)] * at(i, j);
    for (int64_t i = first; i < rows; ++i) at(i, j) -= 2 * inner * v[static_cast<size_t>(i - first)];
  };
  for (int64_t k = 0; k < columns; ++k) {
    std::vector<double> v;
    for (int64_t i = k; i < rows; ++i) v.push_back(at(i, k));
    const double length = std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
    // The sign is that of the first element, so that nothing cancels. R's diagonal gets the opposite sign.
    const double sign = v[0] < 0 ? -1 : 1;
    v[0] += sign * length;
    const double norm = std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
    for (double& element : v) element = norm > 0 ? element / norm : 0;
    for (int64_t j = k; j < columns; ++j) reflect(v, k, j);
    signs.push_back(-sign);
    reflectors.push_back(std::move(v));
  }
  // Q is the product of the reflections, from last to first, applied to the first columns of the identity.
  std::fill(m.begin(), m.end(), 0.0);
  for (int64_t j = 0; j < columns; ++j) at(j, j) = signs[static_cast<size_t>(j)];
  for (int64_t k = columns - 1; k >= 0; --k) {
    for (int64_t j = 0; j < columns; ++j) reflect(reflectors[static_cast<size_t>(k)], k, j);
  }
}

std::vector<double> normal_values(int64_t n, Generator& rng) {
  Tensor values = Tensor::empty({n}, DType::f64);
  rng.fill_normal(values, 0, 1);
  const auto span = values.span<double>();
  return {span.begin(), span.end()};
}

}  // namespace

SkippedInit::SkippedInit() : outer_(std::exchange(skipped, true)) {}
SkippedInit::~SkippedInit() { skipped = outer_; }

double calculate_gain(Nonlinearity nonlinearity, double negative_slope) {
  switch (nonlinearity) {
    case Nonlinearity::tanh: return 5.0 / 3;
    case Nonlinearity::relu: return std::numbers::sqrt2;
    case Nonlinearity::leaky_relu: return std::sqrt(2 / (1 + negative_slope * negative_slope));
    case Nonlinearity::selu: return 0.75;
    default: return 1;
  }
}

Fans calculate_fans(const Tensor& weight) {
  if (weight.dim() < 2) {
    throw ShapeError(fmt::format("calculate_fans: needs [out, in, ...], got shape {}", to_string(weight.shape())));
  }
  int64_t kernel = 1;
  for (int64_t d = 2; d < weight.dim(); ++d) kernel *= weight.size(d);
  return {weight.size(1) * kernel, weight.size(0) * kernel};
}

void constant(Tensor& tensor, Scalar value) {
  const NoGradGuard guard;
  tensor.fill(value);
}
void zeros(Tensor& tensor) { constant(tensor, 0); }
void ones(Tensor& tensor) { constant(tensor, 1); }

void eye(Tensor& matrix) {
  check_matrix(matrix, "eye");
  zeros(matrix);
  for (int64_t i = 0; i < std::min(matrix.size(0), matrix.size(1)); ++i) {
    matrix.alias().select(0, i).select(0, i).fill(1);
  }
}

void uniform(Tensor& tensor, Generator& rng, double low, double high) {
  if (skipped) return;
  const NoGradGuard guard;
  rng.fill_uniform(tensor, low, high);
}
void normal(Tensor& tensor, Generator& rng, double mean, double stddev) {
  if (skipped) return;
  const NoGradGuard guard;
  rng.fill_normal(tensor, mean, stddev);
}

void trunc_normal(Tensor& tensor, Generator& rng, double mean, double stddev, double low, double high) {
  if (!(low < high) || !(stddev > 0)) {
    throw ValueError(
        fmt::format("trunc_normal: needs low < high and stddev > 0, got [{}, {}] and {}", low, high, stddev));
  }
  const double from = normal_cdf((low - mean) / stddev), to = normal_cdf((high - mean) / stddev);
  if (!(from < to)) {
    throw ValueError(
        fmt::format("trunc_normal: [{}, {}] holds nothing of a normal distribution around {}", low, high, mean));
  }
  if (skipped) return;
  Tensor position = Tensor::empty(tensor.shape(), DType::f64);
  rng.fill_uniform(position, 2 * from - 1, 2 * to - 1);
  for (double& x : position.span<double>()) {
    x = std::clamp(mean + stddev * std::numbers::sqrt2 * erfinv(x), low, high);
  }
  const NoGradGuard guard;
  tensor.copy_from(position);
}

void xavier_uniform(Tensor& weight, Generator& rng, double gain) {
  uniform_of_stddev(weight, rng, xavier_stddev(weight, gain));
}

void xavier_normal(Tensor& weight, Generator& rng, double gain) { normal(weight, rng, 0, xavier_stddev(weight, gain)); }

void kaiming_uniform(Tensor& weight, Generator& rng, double a, FanMode mode, Nonlinearity nonlinearity) {
  uniform_of_stddev(weight, rng, kaiming_stddev(weight, a, mode, nonlinearity));
}

void kaiming_normal(Tensor& weight, Generator& rng, double a, FanMode mode, Nonlinearity nonlinearity) {
  normal(weight, rng, 0, kaiming_stddev(weight, a, mode, nonlinearity));
}

void orthogonal(Tensor& weight, Generator& rng, double gain) {
  if (weight.dim() < 2) {
    throw ShapeError(fmt::format("orthogonal: needs at least two dimensions, got shape {}", to_string(weight.shape())));
  }
  if (weight.numel() == 0 || skipped) return;
  const int64_t rows = weight.size(0), columns = weight.numel() / rows;
  const int64_t tall = std::max(rows, columns), narrow = std::min(rows, columns);
  std::vector<double> q = normal_values(tall * narrow, rng);
  orthonormalise(q, tall, narrow);
  std::vector<double> values(q.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const int64_t from = rows >= columns ? i * narrow + j : j * narrow + i;
      values[static_cast<size_t>(i * columns + j)] = gain * q[static_cast<size_t>(from)];
    }
  }
  write(weight, values);
}

void sparse(Tensor& matrix, Generator& rng, double sparsity, double stddev) {
  check_matrix(matrix, "sparse");
  if (skipped) return;
  const int64_t rows = matrix.size(0), columns = matrix.size(1);
  const auto wanted = static_cast<int64_t>(std::ceil(sparsity * static_cast<double>(rows)));
  const int64_t zeros_each = std::clamp<int64_t>(wanted, 0, rows);
  std::vector<double> values = normal_values(rows * columns, rng);
  for (double& value : values) value *= stddev;
  std::vector<int64_t> order(static_cast<size_t>(rows));
  for (int64_t j = 0; j < columns; ++j) {
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = 0; i < zeros_each; ++i) {  // the beginning of a Fisher-Yates shuffle
      std::swap(order[static_cast<size_t>(i)],
                order[static_cast<size_t>(i + static_cast<int64_t>(rng.below(static_cast<uint64_t>(rows - i))))]);
      values[static_cast<size_t>(order[static_cast<size_t>(i)] * columns + j)] = 0;
    }
  }
  write(matrix, values);
}

void linear_default(Tensor& weight, Tensor& bias, Generator& rng) {
  kaiming_uniform(weight, rng, std::sqrt(5.0));
  if (!bias.defined()) return;
  const double bound = 1 / std::sqrt(static_cast<double>(fan_of(weight, FanMode::fan_in)));
  uniform(bias, rng, -bound, bound);
}

}  // namespace qing::nn::init
