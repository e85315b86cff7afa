// The machine's peak: fused multiply-adds on registers alone.
#pragma once

namespace qing::bench {

/// GFLOP/s of f32 on `threads` threads at once, the best of several short runs, with the widest vectors this CPU has.
double fma_peak_gflops(int threads);

}  // namespace qing::bench
