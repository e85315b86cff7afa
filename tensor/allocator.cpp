#include <qing/tensor/allocator.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

namespace qing {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSmallest = 64;
// Four classes per octave: at most a quarter of a block is wasted.
constexpr size_t kStepsAnOctave = 4;
constexpr size_t kClasses = 64 * kStepsAnOctave;
// Blocks of this size and more also serve smaller requests, of up to kClassesBelow classes below.
constexpr size_t kLarge = size_t{64} << 10;
constexpr size_t kClassesBelow = 2 * kStepsAnOctave;
// The most that is kept in all. Beyond it, freed blocks go back to the system.
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

size_t bytes_of_class(size_t index) {
  if (index == 0) return kSmallest;
  const size_t octave = (index - 1) / kStepsAnOctave, base = size_t{1} << octave;
  const size_t bytes = base + (index - octave * kStepsAnOctave) * (base / kStepsAnOctave);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

thread_local bool long_lived = false;

// All members are used with the mutex held.
struct Cache {
  std::mutex mutex;
  std::array<std::vector<void*>, kClasses + kStepsAnOctave> free;
  std::array<size_t, kClasses + kStepsAnOctave> unneeded{};  // the fewest free blocks since the last trim
  std::unordered_map<void*, size_t> large;  // the class of every large block: its user may have requested less
  MemoryStats stats{};

  // The smallest kept block that serves the request; null if there is none.
  void* take(SizeClass size) {
    const size_t most = size.bytes >= kLarge && !long_lived ? size.index + kClassesBelow : size.index;
    for (size_t index = size.index; index <= most && index < free.size(); ++index) {
      if (free[index].empty()) continue;
      void* const block = free[index].back();
      free[index].pop_back();
      unneeded[index] = std::min(unneeded[index], free[index].size());
      stats.cached_bytes -= bytes_of_class(index);
      return block;
    }
    return nullptr;
  }

  void* take_from_system(SizeClass size) {
    void* block = std::aligned_alloc(kAlignment, size.bytes);
    if (block == nullptr) {
      release();
      block = std::aligned_alloc(kAlignment, size.bytes);
    }
    if (block == nullptr) throw std::bad_alloc();
    ++stats.system_blocks;
    if (size.bytes < kLarge) return block;
    try {
      large.emplace(block, size.index);
    } catch (const std::bad_alloc&) {
      std::free(block);
      throw;
    }
    return block;
  }

  // False if the block is not kept.
  bool keep(void* block, SizeClass size) {
    const size_t index = size.bytes < kLarge ? size.index : large.at(block);
    if (stats.cached_bytes + bytes_of_class(index) > kMaxCached) return false;
    try {
      free[index].push_back(block);
    } catch (const std::bad_alloc&) {
      return false;  // no room to remember it
    }
    stats.cached_bytes += bytes_of_class(index);
    return true;
  }

  void give_back(void* block) {
    large.erase(block);
    std::free(block);
  }

  // Gives back the `count` blocks of a class that have been free the longest.
  void release(size_t index, size_t count) {
    auto& blocks = free[index];
    const auto end = blocks.begin() + static_cast<std::ptrdiff_t>(count);
    std::for_each(blocks.begin(), end, [&](void* block) { give_back(block); });
    blocks.erase(blocks.begin(), end);
    if (count > 0) stats.cached_bytes -= count * bytes_of_class(index);  // the last classes can hold no blocks
    unneeded[index] = blocks.size();
  }

  void release() {
    for (size_t index = 0; index < free.size(); ++index) release(index, free[index].size());
  }

  void trim() {
    for (size_t index = 0; index < free.size(); ++index) release(index, unneeded[index]);
  }
};

// Never destroyed: tensors with static lifetime may be freed later than it would be.
Cache& cache() {
  static Cache* const instance = new Cache;
  return *instance;
}

}  // namespace

void lock_allocator() { cache().mutex.lock(); }
void unlock_allocator() { cache().mutex.unlock(); }

LongLivedAllocations::LongLivedAllocations() : outer_(std::exchange(long_lived, true)) {}
LongLivedAllocations::~LongLivedAllocations() { long_lived = outer_; }

void* allocate(size_t bytes) {
  if (bytes > std::numeric_limits<size_t>::max() / 4) throw std::bad_alloc();
  const SizeClass size = class_of(bytes);
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  void* block = c.take(size);
  if (block == nullptr) block = c.take_from_system(size);
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
  if (!c.keep(pointer, size)) c.give_back(pointer);
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

void trim_cached_memory() {
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  c.trim();
}

}  // namespace qing
