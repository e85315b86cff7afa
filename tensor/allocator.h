// A caching allocator by size classes, 64-byte aligned. Thread-safe. Freed blocks are kept for the next request of
// their class. Blocks of 64 KiB and more also serve requests down to a quarter of their size, so that batches whose
// sizes vary from step to step reuse memory. Long-running processes should call trim_cached_memory() from time to time:
// sizes that occur together only rarely would otherwise each leave a block behind.
#pragma once

#include <cstddef>

namespace qing {

struct MemoryStats {
  size_t current_bytes;  ///< handed out now
  size_t peak_bytes;     ///< the most handed out since the last reset
  size_t cached_bytes;   ///< freed and kept for reuse
  size_t system_blocks;  ///< how often memory was requested from the system
};

/// While one lives, its thread's allocations are meant to last, such as a model's weights. Each gets a block of its own
/// class: a larger block would be missed by the work it was kept for.
class LongLivedAllocations {
 public:
  LongLivedAllocations();
  ~LongLivedAllocations();
  LongLivedAllocations(const LongLivedAllocations&) = delete;
  LongLivedAllocations& operator=(const LongLivedAllocations&) = delete;

 private:
  bool outer_;
};

void* allocate(size_t bytes);  ///< std::bad_alloc when the system has no more. Never null.
void deallocate(void* pointer, size_t bytes) noexcept;
MemoryStats memory_stats();
void reset_peak_memory();
void release_cached_memory();  ///< Gives back everything that is kept.
/// Gives back kept blocks that were not needed since the last call: a class that always had at least n free blocks
/// loses n of them.
void trim_cached_memory();
/// Between these two calls by one thread, all functions above wait. fork() needs this: if another thread of the parent
/// held the mutex, the child could never lock it.
void lock_allocator();
void unlock_allocator();

}  // namespace qing
