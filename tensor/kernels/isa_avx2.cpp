#define QING_KERNEL_ROWS 6
#define QING_LOW_ROWS 4
#define QING_KERNEL_WIDE_ROWS 2
#include <qing/tensor/kernels/vec_avx2.h>

#include "kernels.inl"
#include "low_precision_strips.inl"
#include "tables.h"

namespace qing::kernels {

constinit const Table<float> kAvx2_f32 = make_table<float>();
constinit const Table<double> kAvx2_f64 = make_table<double>();
constinit const LowPrecision kAvx2_low = make_low_precision();

}  // namespace qing::kernels
