// Measures the peak rates of this machine, to compare kernels with. Every function runs on num_threads() threads for a
// fraction of a second. Run one at a time: concurrent measurements disturb each other.
#pragma once

#include <cstdint>
#include <string>

#include <qing/tensor/kernels/kernels.h>

namespace qing {

/// The CPU's name according to the system, or "unknown".
std::string cpu_name();

/// The peak rate in f32 operations per second; a fused multiply-add counts as two. It is the best of several short runs
/// of independent chains in registers, with the vectors of `isa`. ValueError if this CPU lacks it.
double fma_peak(kernels::Isa isa);

/// A loop's use of memory: the numbers of arrays that are read, read and written in place, and only written.
struct Streams {
  int reads = 0, updates = 0, writes = 0;
};
/// The bandwidth of loads and stores in bytes per second, when the arrays together have `bytes` and nothing is
/// computed; an update counts twice. It is the best of several passes. Arrays of a small `bytes` stay in caches. Pure
/// writes go through the caches or around them, whichever is faster. ValueError without streams, or if `bytes` is less
/// than a block of 4096 for each thread and stream.
double memory_bandwidth(const Streams& streams, int64_t bytes);

}  // namespace qing
