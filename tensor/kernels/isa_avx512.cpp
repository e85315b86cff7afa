#define QING_KERNEL_ROWS 14
#define QING_LOW_ROWS 8
#define QING_KERNEL_WIDE_ROWS 6
#include <qing/tensor/kernels/vec_avx512.h>

#include "kernels.inl"
#include "low_precision_strips.inl"
#include "tables.h"

namespace qing::kernels {

constinit const Table<float> kAvx512_f32 = make_table<float>();
constinit const Table<double> kAvx512_f64 = make_table<double>();
constinit const LowPrecision kAvx512_low = make_low_precision();

}  // namespace qing::kernels
