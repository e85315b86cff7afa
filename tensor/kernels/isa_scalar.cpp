#define QING_KERNEL_ROWS 4
#define QING_LOW_ROWS 4
#define QING_KERNEL_WIDE_ROWS 4
#include <qing/tensor/kernels/vec_scalar.h>

#include "kernels.inl"
#include "low_precision_strips.inl"
#include "tables.h"

namespace qing::kernels {

constinit const Table<float> kScalar_f32 = make_table<float>();
constinit const Table<double> kScalar_f64 = make_table<double>();
constinit const LowPrecision kScalar_low = make_low_precision();

}  // namespace qing::kernels
