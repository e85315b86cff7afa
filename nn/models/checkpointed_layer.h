// A layer that backward may compute again. Private to nn/.
#pragma once

#include <utility>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/gradient_checkpoint.h>

namespace qing::nn {

/// run(inputs and, if it is defined, the bias of positions). With `checkpointing`, backward computes it again instead
/// of keeping what is inside (checkpoint()). The bias is an input and must not be captured by `run`: only then are its
/// gradients from several layers added up in the same order as without checkpointing.
template <class Run>
Tensor checkpointed_layer(bool checkpointing, const Run& run, std::vector<Tensor> inputs, const Tensor& bias,
                          Generator* rng) {
  if (bias.defined()) inputs.push_back(bias);
  return checkpointing && grad_enabled() ? checkpoint(run, inputs, rng) : run(inputs);
}

}  // namespace qing::nn
