// Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011): counter-based, so element i of
// a stream is a function of (seed, stream, i) alone and results do not depend on the number of threads.
#pragma once

#include <array>
#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// A source of streams. Each fill or mask takes the next stream, so state is two integers and can be saved.
/// Not thread-safe: one generator a thread.
class Generator {
 public:
  explicit Generator(uint64_t seed = 0) : seed_(seed) {}
  uint64_t seed() const { return seed_; }
  uint64_t stream() const { return stream_; }
  void restore(uint64_t seed, uint64_t stream) { seed_ = seed, stream_ = stream; }
  uint64_t next_stream() { return stream_++; }
  uint64_t next_u64();             ///< Uses one stream.
  uint64_t below(uint64_t bound);  ///< Uniform in [0, bound), without modulo bias; bound > 0.

  /// In [low, high), low < high; f32 or f64, contiguous.
  void fill_uniform(Tensor& tensor, double low, double high);
  void fill_normal(Tensor& tensor, double mean, double stddev);  ///< Box-Muller.
  /// In [low, high), low < high; i64, contiguous. The high part of a product with 128 random bits: no integer is
  /// likelier than another by more than 2^-64 of its share.
  void fill_integers(Tensor& tensor, int64_t low, int64_t high);

 private:
  uint64_t seed_;
  uint64_t stream_ = 0;
};

}  // namespace qing
