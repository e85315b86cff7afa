// Convolution in two dimensions and its two transposes as products of bf16, for mixed-precision training. Operands are
// f32 and are rounded on the way into the products, to nearest even. Sums are in f32. Windows become the right operand
// of a product in blocks of rows and images. A few MiB of them exist at a time for each thread, or those of one row if
// these are more.
#pragma once

#include <qing/tensor/ops/convolution_shape.h>

namespace qing {

/// convolve(), convolve_transposed() and convolve_weight() with operands rounded to bf16. The bits do not depend on the
/// number of threads, and an image's results not on other images. Their last bits depend on the instruction set. In a
/// gradient of a weight that is not finite, further elements may be NaN. Convolutions of several groups are computed in
/// f32, and so are gradients of the input where a stride and a dilation meet.
void convolve_bf16(const Convolution& c, const float* x, const float* weight, const float* bias, float* y);
void convolve_transposed_bf16(const Convolution& c, const float* weight, const float* dy, float* dx, bool accumulate);
void convolve_weight_bf16(const Convolution& c, const float* x, const float* dy, float* dweight, bool accumulate);

}  // namespace qing
