#include <qing/tensor/allocator.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <vector>

namespace qing {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSmallest = 64;
// Four classes an octave: at most a quarter of a block is wasted.
constexpr int kStepsAnOctave = 4;
constexpr size_t kClasses = 64 * kStepsAnOctave;
// What may be kept in all; beyond it, freed blocks go back to the system.
constexpr size_t kMaxCached = size_t{4} << 30;

struct SizeClass {
  size_t index, bytes;
};

SizeClass class_of(size_t bytes) {
  if (bytes <= kSmallest) return {0, kSmallest};
  const int octave = std::bit_width(bytes - 1) - 1;  // 2^octave < bytes ≤ 2^(octave+1)
  const size_t base = size_t{1} << octave, step = base / kStepsAnOctave;
  const size_t steps = (bytes - base + step - 1) / step;
  const size_t rounded = base + steps * step;
  return {static_cast<size_t>(octave) * kStepsAnOctave + steps, (rounded + kAlignment - 1) / kAlignment * kAlignment};
}

struct Cache {
  std::mutex mutex;
  std::array<std::vector<void*>, kClasses + kStepsAnOctave> free;
  MemoryStats stats{};

  // With the mutex held.
  void release() {
    for (auto& blocks : free) {
      for (void* block : blocks) std::free(block);
      blocks.clear();
    }
    stats.cached_bytes = 0;
  }
};

// Never destroyed: tensors with static lifetime may be freed after it would have been.
Cache& cache() {
  static Cache* const instance = new Cache;
  return *instance;
}

}  // namespace

void* allocate(size_t bytes) {
  if (bytes > std::numeric_limits<size_t>::max() / 4) throw std::bad_alloc();
  const SizeClass size = class_of(bytes);
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  auto& blocks = c.free[size.index];
  void* block = nullptr;
  if (!blocks.empty()) {
    block = blocks.back();
    blocks.pop_back();
    c.stats.cached_bytes -= size.bytes;
  } else {
    block = std::aligned_alloc(kAlignment, size.bytes);
    if (block == nullptr) {
      c.release();
      block = std::aligned_alloc(kAlignment, size.bytes);
    }
    if (block == nullptr) throw std::bad_alloc();
  }
  c.stats.current_bytes += size.bytes;
  if (c.stats.current_bytes > c.stats.peak_bytes) c.stats.peak_bytes = c.stats.current_bytes;
  return block;
}

void deallocate(void* pointer, size_t bytes) noexcept {
  if (pointer == nullptr) return;
  const SizeClass size = class_of(bytes);
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  c.stats.current_bytes -= size.bytes;
  if (c.stats.cached_bytes + size.bytes <= kMaxCached) {
    try {
      c.free[size.index].push_back(pointer);
      c.stats.cached_bytes += size.bytes;
      return;
    } catch (const std::bad_alloc&) {
      // No room to remember it: give it back below.
    }
  }
  std::free(pointer);
}

MemoryStats memory_stats() {
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  return c.stats;
}

void reset_peak_memory() {
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  c.stats.peak_bytes = c.stats.current_bytes;
}

void release_cached_memory() {
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  c.release();
}

}  // namespace qing
