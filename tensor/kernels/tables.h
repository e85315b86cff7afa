// The tables that the ISA units define. Private to this folder.
#pragma once

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/kernels/low_precision_strips.h>

namespace qing::kernels {

extern const Table<float> kScalar_f32;
extern const Table<double> kScalar_f64;
extern const LowPrecision kScalar_low;
#if defined(__x86_64__)
extern const Table<float> kAvx2_f32, kAvx512_f32;
extern const Table<double> kAvx2_f64, kAvx512_f64;
extern const LowPrecision kAvx2_low, kAvx512_low, kAvx512Vnni_low, kAvx512Bf16_low, kAmx_low;
#elif defined(__aarch64__)
extern const Table<float> kNeon_f32;
extern const Table<double> kNeon_f64;
#endif

}  // namespace qing::kernels
