#include <qing/autograd/functional/functional.h>

#include <fmt/format.h>

#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/views.h>
#include <qing/autograd/ops/views_detail.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/ops/apply.h>

namespace qing {
namespace {

// New leaves on the elements of the inputs.
std::vector<Tensor> leaves_of(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) {
    leaves.push_back(input.alias());
    set_requires_grad(leaves.back());
  }
  return leaves;
}

// gradients(), with zeros where y does not depend on an input.
std::vector<Tensor> gradients_or_zeros(const Tensor& y, const std::vector<Tensor>& inputs, GradientsOptions options) {
  options.allow_unused = true;
  std::vector<Tensor> found(inputs.size());
  if (requires_grad(y)) found = gradients(y, inputs, options);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!found[i].defined()) found[i] = zeros_like(inputs[i]);
  }
  return found;
}

// The derivatives of all elements of y with respect to x: [y.numel(), x.numel()].
Tensor rows_of_derivatives(const Tensor& y, const Tensor& x) {
  Tensor rows = Tensor::zeros({y.numel(), x.numel()}, x.dtype());
  for (int64_t i = 0; i < y.numel(); ++i) {
    const Tensor unit = Tensor::zeros({y.numel()}, y.dtype());
    unit.select(0, i).fill(1);
    const auto row = gradients_or_zeros(y, {x}, {.retain_graph = true, .gradient = unit.reshape(y.shape())});
    rows.select(0, i).copy_from(row[0].reshape({-1}));
  }
  return rows;
}

Shape joined(const Shape& a, const Shape& b) {
  Shape both = a;
  both.insert(both.end(), b.begin(), b.end());
  return both;
}

}  // namespace

VjpResult vjp(const TensorFunction& function, const std::vector<Tensor>& inputs, const Tensor& cotangent) {
  const EnableGradGuard guard;
  const std::vector<Tensor> leaves = leaves_of(inputs);
  const Tensor y = function(leaves);
  return {detach(y), gradients_or_zeros(y, leaves, {.gradient = cotangent})};
}

JvpResult jvp(const TensorFunction& function, const std::vector<Tensor>& inputs, const std::vector<Tensor>& tangents) {
  if (tangents.size() != inputs.size()) {
    throw ValueError(fmt::format("jvp: {} tangents for {} inputs", tangents.size(), inputs.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    check_same_dtype(inputs[i], tangents[i], "jvp");
    if (tangents[i].shape() != inputs[i].shape()) {
      throw ShapeError(fmt::format("jvp: tangent {} has shape {}, its input {}", i, to_string(tangents[i].shape()),
                                   to_string(inputs[i].shape())));
    }
  }
  const EnableGradGuard guard;
  const std::vector<Tensor> leaves = leaves_of(inputs);
  const Tensor y = function(leaves);
  // Any u will do, since only the derivative with respect to u is used.
  Tensor u = zeros_like(y);
  set_requires_grad(u);
  const std::vector<Tensor> product = gradients_or_zeros(y, leaves, {.create_graph = true, .gradient = u});
  Tensor tangent = zeros_like(y);
  for (size_t i = 0; i < product.size(); ++i) {
    if (!requires_grad(product[i])) continue;
    const auto part = gradients_or_zeros(product[i], {u}, {.retain_graph = true, .gradient = tangents[i]});
    tangent = add(tangent, part[0]);
  }
  return {detach(y), detach(tangent)};
}

Tensor jacobian(const std::function<Tensor(const Tensor&)>& function, const Tensor& x) {
  const EnableGradGuard guard;
  const Tensor leaf = leaves_of({x})[0];
  const Tensor y = function(leaf);
  return rows_of_derivatives(y, leaf).reshape(joined(y.shape(), x.shape()));
}

Tensor hessian(const std::function<Tensor(const Tensor&)>& function, const Tensor& x) {
  const EnableGradGuard guard;
  const Tensor leaf = leaves_of({x})[0];
  const Tensor y = function(leaf);
  if (y.numel() != 1) throw ShapeError("hessian: needs a result of one element, got shape " + to_string(y.shape()));
  const Tensor slope = gradients_or_zeros(y, {leaf}, {.create_graph = true})[0];
  return rows_of_derivatives(slope, leaf).reshape(joined(x.shape(), x.shape()));
}

Tensor flatten(const std::vector<Tensor>& gradients, const std::vector<Tensor>& like) {
  int64_t total = 0;
  for (const Tensor& tensor : like) total += tensor.numel();
  Tensor flat = Tensor::zeros({total}, like.empty() ? DType::f64 : like[0].dtype());
  int64_t at = 0;
  for (size_t i = 0; i < gradients.size(); ++i) {
    const int64_t n = like[i].numel(), begin = at;
    at += n;
    if (!gradients[i].defined()) continue;
    const auto window = [begin, n](const Tensor& whole) { return whole.slice(0, begin, begin + n); };
    flat = add(flat, place("slice", reshape(gradients[i], {n}), {total}, window));
  }
  return flat;
}

}  // namespace qing
