// Limits on gradients, and scaling them.
#pragma once

#include <qing/tensor/tensor.h>

#include <vector>

namespace qing::optim {

/// The joint Euclidean norm of all gradients. ValueError with `error_if_nonfinite` when it is not finite. Unlike
/// torch.nn.utils.get_total_norm it is right where squares overflow or underflow the gradients' dtype: the norm of
/// {3e19, 4e19} in f32 is 5e19.
double total_grad_norm(const std::vector<Tensor>& parameters, bool error_if_nonfinite = false);

/// What brings gradients of a joint norm to at most `max_norm`: 1 for a norm up to it, else max_norm / norm. It is 0
/// for an infinite norm and NaN for NaN, as in PyTorch.
double clip_factor(double norm, double max_norm);

/// Prepares gradients of the joint norm `norm` for a pass that clips them: returns the factor that the pass multiplies
/// them by, such as Optimizer::step(scale). That is clip_factor() if f32 holds it as a normal number, 0 or NaN. A
/// smaller factor is applied here and 1 is returned. For NaN the gradients known by their rows become dense, since
/// NaN spreads to all rows.
double clip_for_pass(const std::vector<Tensor>& parameters, double norm, double max_norm);

/// Scales all gradients by clip_factor(), so that their joint Euclidean norm is at most `max_norm` (Pascanu et al.
/// 2013); returns the norm before. ValueError unless max_norm > 0. As torch.nn.utils.clip_grad_norm_, an infinite norm
/// makes finite gradients 0 and infinite ones NaN, and a norm of NaN makes all of them NaN; with `error_if_nonfinite`
/// both are a ValueError, and the gradients stay.
double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, bool error_if_nonfinite = false);

/// Moves every element of every gradient into [−clip_value, clip_value]; NaN stays. ValueError unless clip_value > 0.
void clip_grad_value(const std::vector<Tensor>& parameters, double clip_value);

/// Multiplies all gradients by `factor`.
void scale_grad(const std::vector<Tensor>& parameters, double factor);

/// Whether all gradients are free of infinities and NaN.
bool grads_are_finite(const std::vector<Tensor>& parameters);

}  // namespace qing::optim
