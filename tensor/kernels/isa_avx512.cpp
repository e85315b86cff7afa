#define QING_KERNEL_ROWS 14
#define QING_KERNEL_VECTORS 2
#include <qing/tensor/kernels/vec_avx512.h>

#include "kernels.inl"
#include "tables.h"

namespace qing::kernels {

constinit const Table<float> kAvx512_f32 = make_table<float>();
constinit const Table<double> kAvx512_f64 = make_table<double>();

}  // namespace qing::kernels
