#include <qing/autograd/functional/gradcheck.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <qing/autograd/autograd.h>
#include <qing/autograd/functional/functional.h>
#include <qing/tensor/random.h>

namespace qing {
namespace {

double project(const Tensor& y, const Tensor& cotangent) {
  const Tensor dense = y.alias().contiguous();
  const auto values = dense.span<double>();
  const auto weights = cotangent.span<double>();
  double total = 0;
  for (size_t i = 0; i < values.size(); ++i) total += values[i] * weights[i];
  return total;
}

}  // namespace

GradcheckResult gradcheck(const TensorFunction& function, std::vector<Tensor> inputs, const GradcheckOptions& options) {
  for (const Tensor& input : inputs) {
    if (requires_grad(input) && (input.dtype() != DType::f64 || !input.is_contiguous())) {
      throw DTypeError("gradcheck: inputs that require a gradient must be contiguous f64");
    }
    zero_grad(input);
  }
  const Tensor y = function(inputs);
  Generator rng(options.seed);
  Tensor cotangent = Tensor::empty(y.shape(), DType::f64);
  rng.fill_normal(cotangent, 0, 1);
  backward(y, {.gradient = cotangent});

  GradcheckResult result;
  const NoGradGuard guard;
  for (size_t n = 0; n < inputs.size(); ++n) {
    if (!requires_grad(inputs[n])) continue;
    const Tensor analytic = grad(inputs[n]).defined() ? grad(inputs[n]) : Tensor::zeros(inputs[n].shape(), DType::f64);
    auto elements = inputs[n].span<double>();
    for (size_t i = 0; i < elements.size(); ++i) {
      const double at = elements[i], h = options.step * std::max(1.0, std::abs(at));
      elements[i] = at + h;
      const double above = project(function(inputs), cotangent);
      elements[i] = at - h;
      const double below = project(function(inputs), cotangent);
      elements[i] = at;
      const double numeric = (above - below) / (2 * h), exact = analytic.span<double>()[i];
      const double error = std::abs(exact - numeric) / std::max({1.0, std::abs(exact), std::abs(numeric)});
      // This form makes NaN the worst error.
      if (!(error <= result.worst)) {
        result.worst = error;
        result.message = fmt::format("input {} of shape {}, element {}: backward gives {}, central difference {}", n,
                                     to_string(inputs[n].shape()), i, exact, numeric);
      }
    }
  }
  result.ok = result.worst <= options.tolerance;
  return result;
}

GradcheckResult gradgradcheck(const TensorFunction& function, std::vector<Tensor> inputs,
                              const GradcheckOptions& options) {
  const Tensor y = function(inputs);
  Generator rng(options.seed);
  rng.next_stream();  // gradcheck's own cotangent must differ
  Tensor cotangent = Tensor::empty(y.shape(), DType::f64);
  rng.fill_normal(cotangent, 0, 1);
  set_requires_grad(cotangent);
  inputs.push_back(cotangent);
  return gradcheck(
      [&](const std::vector<Tensor>& all) {
        const std::vector<Tensor> in(all.begin(), all.end() - 1);
        std::vector<Tensor> wanted;
        for (const Tensor& input : in) {
          if (requires_grad(input)) wanted.push_back(input);
        }
        // Differences are taken without recording, but the first gradient still needs it.
        const EnableGradGuard guard;
        return flatten(
            gradients(function(in), wanted, {.create_graph = true, .allow_unused = true, .gradient = all.back()}),
            wanted);
      },
      inputs, options);
}

}  // namespace qing
