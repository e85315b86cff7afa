// Size-class caching allocator, 64-byte aligned, thread-safe. Freed blocks are kept for the next request of their
// class; those of 64 KiB and more also serve requests down to a quarter of their size, so that batches whose sizes
// change from step to step use the same memory again. A process that goes on for long calls trim_cached_memory() now
// and then: sizes that come together once in a while would otherwise each leave a block behind.
#pragma once

#include <cstddef>

namespace qing {

struct MemoryStats {
  size_t current_bytes;  ///< handed out now
  size_t peak_bytes;     ///< the most handed out since the last reset
  size_t cached_bytes;   ///< freed and kept
  size_t system_blocks;  ///< how often memory was asked of the system, ever
};

/// While one lives, what its thread allocates is for long, such as a model's weights: it gets blocks of its own size,
/// since a larger one would be missed by the work it was kept for.
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
void release_cached_memory();  ///< all that is kept
/// Of what is kept, gives back what was not needed since the last call: a class whose free blocks were never fewer than
/// n loses n of them.
void trim_cached_memory();
/// Between these two calls by one thread, all functions above wait. fork() needs it: a child process never gets a mutex
/// back that another thread of its parent held.
void lock_allocator();
void unlock_allocator();

}  // namespace qing
