// Whether the process has trained in training mode: for a warning of optimizers. A layer that computes otherwise in
// training (dropout, running statistics) notes each forward pass that is recorded. Thread-safe.
#pragma once

#include <qing/nn/module.h>

namespace qing::nn {

/// For the forward pass of such a layer on x. Passes that autograd does not record do not count.
void note_mode(const Module& layer, const Tensor& x);
/// Whether a layer was recorded in evaluation mode, and none ever in training mode.
bool only_evaluated();
/// Forgets all passes: for tests of programs.
void forget_modes();

}  // namespace qing::nn
