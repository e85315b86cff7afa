// Derivatives of functions of tensors. The gradients of leaves stay as they are. Thread-safe if the function is.
#pragma once

#include <functional>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/tensor_function.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct VjpResult {
  Tensor value;                   ///< f(inputs), outside the graph
  std::vector<Tensor> gradients;  ///< one for each input; zeros where f does not depend on it
};
/// The vector-Jacobian product uᵀ·J, for a cotangent u of the shape of f's result. Inputs are f32 or f64 and need not
/// require gradients. Cost: one forward and one backward.
VjpResult vjp(const TensorFunction& function, const std::vector<Tensor>& inputs, const Tensor& cotangent);

struct JvpResult {
  Tensor value;    ///< f(inputs), outside the graph
  Tensor tangent;  ///< of the value's shape
};
/// The Jacobian-vector product J·t, for tangents t of the inputs' shapes. Computed as the derivative of uᵀ·J, which is
/// linear in u (the "double backward trick"). All operations must be differentiable twice (AutogradError names one that
/// is not). ShapeError or DTypeError if a tangent does not fit its input. Cost: one forward and two backwards.
JvpResult jvp(const TensorFunction& function, const std::vector<Tensor>& inputs, const std::vector<Tensor>& tangents);

/// The Jacobian of f at x: f(x).shape + x.shape. Cost: one backward for each element of f(x).
Tensor jacobian(const std::function<Tensor(const Tensor&)>& function, const Tensor& x);
/// The Hessian of a function with a result of one element (ShapeError otherwise): x.shape + x.shape. All operations
/// must be differentiable twice. Cost: one backward through the gradient for each element of x.
Tensor hessian(const std::function<Tensor(const Tensor&)>& function, const Tensor& x);

/// All gradients flattened into one vector [n], recorded. An undefined gradient counts as zeros of the shape in `like`.
/// For checks and norms.
Tensor flatten(const std::vector<Tensor>& gradients, const std::vector<Tensor>& like);

}  // namespace qing
