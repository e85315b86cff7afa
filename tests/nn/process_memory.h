// Memory of this process, for tests of weights that lie on the pages of their files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>

namespace qing::test {

/// The sum of some figures of /proc/self/smaps_rollup, in bytes; 0 where the system does not tell.
inline int64_t memory_bytes(std::initializer_list<std::string_view> figures) {
  std::ifstream rollup("/proc/self/smaps_rollup");
  std::string word;
  int64_t kilobytes = 0, sum = 0;
  while (rollup >> word) {
    if (std::ranges::count(figures, word) > 0 && rollup >> kilobytes) sum += kilobytes * 1024;
  }
  return sum;
}

/// Memory that is no file's: the heap, and copies of pages that were written to. "Private_Dirty:" would not do. It also
/// counts the pages of a file that is mapped once and that the disk does not have yet.
inline int64_t own_bytes() { return memory_bytes({"Anonymous:", "Private_Hugetlb:"}); }

/// The pages of files that nobody wrote to.
inline int64_t clean_bytes() { return memory_bytes({"Private_Clean:", "Shared_Clean:"}); }

}  // namespace qing::test
