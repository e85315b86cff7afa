// Mixed precision, named after torch.autocast.
#pragma once

#include <qing/tensor/dtype.h>

namespace qing {

/// While it lives, the linear layers (linear, linear_gelu, linear_joined) and convolutions (conv1d, conv2d, conv3d and
/// their transposes) that this thread records compute their f32 products, forward and backward, from operands rounded
/// to bf16, with sums in f32. Weights, activations, gradients and all other operations stay f32, so no loss scaling is
/// needed. Convolutions of several groups stay f32, and so does the gradient of the input where a convolution has a
/// stride and a dilation. Linear layers are fast on processors with AVX-512 BF16, convolutions on those with AMX;
/// elsewhere the rounding is done in software, slower than f32. DType::f32 switches an outer guard off.
class AutocastGuard {
 public:
  explicit AutocastGuard(DType dtype = DType::bf16);  ///< DTypeError unless f32 or bf16.
  ~AutocastGuard();
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  DType previous_;
};

DType autocast_dtype();  ///< of this thread; f32 without a guard

}  // namespace qing
