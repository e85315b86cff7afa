// Size-class caching allocator, 64-byte aligned, thread-safe. Freed blocks are kept for the next request of their class;
// those of 64 KiB and more also serve requests down to a quarter of their size, so that batches whose sizes change from
// step to step use the same memory again.
#pragma once

#include <cstddef>

namespace qing {

struct MemoryStats {
  size_t current_bytes;  ///< handed out now
  size_t peak_bytes;     ///< the most handed out since the last reset
  size_t cached_bytes;   ///< freed and kept
  size_t system_blocks;  ///< how often memory was asked of the system, ever
};

void* allocate(size_t bytes);  ///< std::bad_alloc when the system has no more. Never null.
void deallocate(void* pointer, size_t bytes) noexcept;
MemoryStats memory_stats();
void reset_peak_memory();
void release_cached_memory();

}  // namespace qing
