// Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011). It is counter-based: element i
// of a stream depends on (seed, stream, i) alone, so results do not depend on the number of threads.
#pragma once

#include <array>
#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// A source of streams. Each fill or mask takes the next stream. The state is two integers, so it can be saved. Not
/// thread-safe: one generator per thread.
class Generator {
 public:
  explicit Generator(uint64_t seed = 0) : seed_(seed) {}
  uint64_t seed() const { return seed_; }
  uint64_t stream() const { return stream_; }
  void restore(uint64_t seed, uint64_t stream) { seed_ = seed, stream_ = stream; }
  uint64_t next_stream() { return stream_++; }
  uint64_t next_u64();             ///< Uses one stream.
  uint64_t below(uint64_t bound);  ///< Uniform in [0, bound), without modulo bias. ValueError if bound is 0.

  /// Uniform in [low, high), low < high. The tensor is f32 or f64 (DTypeError) and contiguous.
  void fill_uniform(Tensor& tensor, double low, double high);
  void fill_normal(Tensor& tensor, double mean, double stddev);  ///< Box-Muller.
  /// Uniform integers of [low, high); ValueError unless low < high. The tensor is i64 and contiguous. Takes the high
  /// part of a product with 128 random bits: probabilities differ by at most 2^-64 of themselves.
  void fill_integers(Tensor& tensor, int64_t low, int64_t high);

 private:
  uint64_t seed_;
  uint64_t stream_ = 0;
};

}  // namespace qing
