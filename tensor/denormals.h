// Denormal numbers cost a hundred cycles each and mean nothing to training.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace qing {

/// While it lives, this thread's SSE and AVX arithmetic flushes denormal operands and results to zero. Does nothing on
/// other processors.
class FlushDenormals {
 public:
  FlushDenormals() {
#if defined(__x86_64__)
    previous_ = _mm_getcsr();
    if ((previous_ & kFlush) != kFlush) _mm_setcsr(previous_ | kFlush);
#endif
  }
  ~FlushDenormals() {
#if defined(__x86_64__)
    if ((previous_ & kFlush) != kFlush) _mm_setcsr(previous_);
#endif
  }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr unsigned kFlush = 0x8040;  // FTZ, DAZ of MXCSR
  unsigned previous_;
#endif
};

/// The opposite, for a region inside: copies and comparisons must keep denormals.
class KeepDenormals {
 public:
  KeepDenormals() {
#if defined(__x86_64__)
    previous_ = _mm_getcsr();
    if ((previous_ & kFlush) != 0) _mm_setcsr(previous_ & ~kFlush);
#endif
  }
  ~KeepDenormals() {
#if defined(__x86_64__)
    if ((previous_ & kFlush) != 0) _mm_setcsr(previous_);
#endif
  }
  KeepDenormals(const KeepDenormals&) = delete;
  KeepDenormals& operator=(const KeepDenormals&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr unsigned kFlush = 0x8040;
  unsigned previous_;
#endif
};

}  // namespace qing
