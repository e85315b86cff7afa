// Products of bytes with VNNI instructions. All other kernels of this ISA are those of AVX-512: processors from 2019 to
// 2021 have no BF16 instructions beside these.
#define QING_LOW_ROWS 14
#define QING_BF16_ROWS 8
#include <qing/tensor/kernels/vec_avx512.h>

#include "low_precision_strips.inl"
#include "tables.h"

namespace qing::kernels {

constinit const LowPrecision kAvx512Vnni_low = make_low_precision();

}  // namespace qing::kernels
