#define QING_KERNEL_ROWS 6
#define QING_KERNEL_VECTORS 2
#include <qing/tensor/kernels/vec_avx2.h>

#include "kernels.inl"
#include "tables.h"

namespace qing::kernels {

constinit const Table<float> kAvx2_f32 = make_table<float>();
constinit const Table<double> kAvx2_f64 = make_table<double>();

}  // namespace qing::kernels
