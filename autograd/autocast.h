// Mixed precision, with the name of torch.autocast.
#pragma once

#include <qing/tensor/dtype.h>

namespace qing {

/// While it lives, the linear layers that this thread records (linear, linear_gelu, linear_joined) compute their f32
/// products, forward and backward, from operands rounded to bf16, with sums in f32. Weights, activations, gradients and
/// all other operations stay f32, so that nothing needs a scale. Fast where the processor has AVX-512 BF16; elsewhere
/// the same rounding in software, slower than f32. With DType::f32 it switches an outer one off.
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
