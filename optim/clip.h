// Limits on gradients, and scaling them.
#pragma once

#include <qing/tensor/tensor.h>

#include <vector>

namespace qing::optim {

/// The joint Euclidean norm of all gradients, as torch.nn.utils.get_total_norm. ValueError with `error_if_nonfinite`
/// when it is not finite.
double total_grad_norm(const std::vector<Tensor>& parameters, bool error_if_nonfinite = false);

/// Scales all gradients so that their joint Euclidean norm is at most `max_norm` (Pascanu et al. 2013); returns the
/// norm before. ValueError unless max_norm > 0. A norm that is not finite leaves the gradients as they are, or is a
/// ValueError with `error_if_nonfinite`.
double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, bool error_if_nonfinite = false);

/// Moves every element of every gradient into [−clip_value, clip_value]; NaN stays. ValueError unless clip_value > 0.
void clip_grad_value(const std::vector<Tensor>& parameters, double clip_value);

/// Multiplies all gradients by `factor`.
void scale_grad(const std::vector<Tensor>& parameters, double factor);

/// Whether all gradients are free of infinities and NaN.
bool grads_are_finite(const std::vector<Tensor>& parameters);

}  // namespace qing::optim
