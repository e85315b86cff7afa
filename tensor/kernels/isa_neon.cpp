#define QING_KERNEL_ROWS 12
#define QING_KERNEL_WIDE_ROWS 6
#include <qing/tensor/kernels/vec_neon.h>

#include "kernels.inl"
#include "tables.h"

namespace qing::kernels {

constinit const Table<float> kNeon_f32 = make_table<float>();
constinit const Table<double> kNeon_f64 = make_table<double>();

}  // namespace qing::kernels
