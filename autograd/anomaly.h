// Looking for NaN. Private to this folder; AnomalyGuard of autograd.h turns it on.
#pragma once

#include <span>

#include <qing/tensor/tensor.h>

namespace qing {

struct Node;

bool anomaly_mode();
/// AutogradError naming `op` if `output` has a NaN. It says whether an input had one already.
void check_forward(const char* op, const Tensor& output, std::span<const Tensor> inputs);
/// AutogradError naming `op` and the input if the gradient of that input, summed so far, has a NaN.
void check_backward(const char* op, size_t input, const Tensor& gradient);

}  // namespace qing
