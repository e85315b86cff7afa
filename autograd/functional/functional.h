// Derivatives of functions of tensors, without touching the gradients of any leaf.
#pragma once

#include <functional>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/tensor_function.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct VjpResult {
  Tensor value;                   ///< f(inputs), outside the graph
  std::vector<Tensor> gradients;  ///< one an input; zeros where f does not depend on it
};
/// The vector-Jacobian product: uᵀ·J for u of f's result's shape. Inputs are f32 or f64 and need not require gradients.
/// Cost: one forward and one backward.
VjpResult vjp(const TensorFunction& function, const std::vector<Tensor>& inputs, const Tensor& cotangent);

struct JvpResult {
  Tensor value;    ///< f(inputs), outside the graph
  Tensor tangent;  ///< of its shape
};
/// The Jacobian-vector product: J·t for tangents t of the inputs' shapes, as the derivative of uᵀ·J, which is linear in
/// u (the "double backward trick"). Needs operations that are differentiable twice (AutogradError names one that is
/// not). ShapeError, DTypeError when a tangent does not fit its input. Cost: one forward and two backwards.
JvpResult jvp(const TensorFunction& function, const std::vector<Tensor>& inputs, const std::vector<Tensor>& tangents);

/// The Jacobian of f at x: f(x).shape + x.shape. Cost: a backward for each element of f(x).
Tensor jacobian(const std::function<Tensor(const Tensor&)>& function, const Tensor& x);
/// The Hessian of a function with a result of one element (ShapeError otherwise): x.shape + x.shape. Needs operations
/// that are differentiable twice. Cost: a backward through the gradient for each element of x.
Tensor hessian(const std::function<Tensor(const Tensor&)>& function, const Tensor& x);

/// Gradients end to end, [n], recorded; zeros of the like's shape for an undefined one. For checks and norms.
Tensor flatten(const std::vector<Tensor>& gradients, const std::vector<Tensor>& like);

}  // namespace qing
