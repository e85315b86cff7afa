// Clipping and scaling of gradients. The functions are not thread-safe: they change the gradients in place.
#pragma once

#include <qing/tensor/tensor.h>

#include <vector>

namespace qing::optim {

/// The joint Euclidean norm of all gradients. With `error_if_nonfinite`, ValueError when the norm is not finite. Unlike
/// torch.nn.utils.get_total_norm, the norm is right where squares overflow or underflow the gradients' dtype: the norm
/// of {3e19, 4e19} in f32 is 5e19.
double total_grad_norm(const std::vector<Tensor>& parameters, bool error_if_nonfinite = false);

/// The factor that brings gradients of joint norm `norm` to at most `max_norm`: 1 for a norm up to `max_norm`, else
/// max_norm / norm. It is 0 for an infinite norm and NaN for NaN, as in PyTorch.
double clip_factor(double norm, double max_norm);

/// Prepares gradients of the joint norm `norm` for a pass that clips them: returns the factor that the pass multiplies
/// them by, such as Optimizer::step(scale). That is clip_factor() if f32 holds it as a normal number, 0 or NaN. A
/// smaller factor is applied here and 1 is returned. For NaN the gradients known by their rows become dense, since
/// NaN spreads to all rows.
double clip_for_pass(const std::vector<Tensor>& parameters, double norm, double max_norm);

/// Scales all gradients by clip_factor(), so that their joint Euclidean norm is at most `max_norm` (Pascanu et al.
/// 2013). Returns the norm before clipping. ValueError unless max_norm > 0. As in torch.nn.utils.clip_grad_norm_, an
/// infinite norm makes finite gradients 0 and infinite ones NaN, and a norm of NaN makes all gradients NaN. With
/// `error_if_nonfinite` both cases throw ValueError and leave the gradients unchanged.
double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, bool error_if_nonfinite = false);

/// Clamps every element of every gradient to [−clip_value, clip_value]; NaN stays. ValueError unless clip_value > 0.
void clip_grad_value(const std::vector<Tensor>& parameters, double clip_value);

/// Multiplies all gradients by `factor`.
void scale_grad(const std::vector<Tensor>& parameters, double factor);

/// Whether all gradients are free of infinities and NaN.
bool grads_are_finite(const std::vector<Tensor>& parameters);

}  // namespace qing::optim
