// What this machine can do at best, measured: the roofs that kernels are compared with. Everything here runs on
// num_threads() threads and takes a fraction of a second; not thread-safe in the sense that two measurements at once
// disturb each other.
#pragma once

#include <cstdint>
#include <string>

#include <qing/tensor/kernels/kernels.h>

namespace qing {

/// The CPU's name as the system has it, or "unknown".
std::string cpu_name();

/// f32 operations a second (a fused multiply-add counts as two), the best of several short runs of independent chains
/// on registers with the vectors of `isa`. ValueError if this CPU lacks it.
double fma_peak(kernels::Isa isa);

/// How a loop uses memory: arrays that are read, that are read and written in place, and that are only written.
struct Streams {
  int reads = 0, updates = 0, writes = 0;
};
/// Bytes a second that loads and stores move (an update counts twice) when the arrays have `bytes` together and nothing
/// is computed: the best of several passes. The arrays are not much larger than caches when `bytes` is not. Pure writes
/// go through the caches or around them, whichever is faster. ValueError without any stream, or for fewer bytes than a
/// block of 4096 for each thread and stream.
double memory_bandwidth(const Streams& streams, int64_t bytes);

}  // namespace qing
