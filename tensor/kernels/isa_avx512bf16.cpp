// Products of bytes and of bf16 with VNNI and BF16 instructions. All other kernels of this ISA are those of AVX-512.
#define QING_LOW_ROWS 14
#include <qing/tensor/kernels/vec_avx512.h>

#include "low_precision_strips.inl"
#include "tables.h"

namespace qing::kernels {

constinit const LowPrecision kAvx512Bf16_low = make_low_precision();

}  // namespace qing::kernels
