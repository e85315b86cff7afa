#include <qing/nn/text/pipeline/unicode_properties.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>

namespace qing::nn::text {
namespace {

struct PropertyRun {
  char32_t first;  // the run goes to the next run's first
  uint32_t bits;
};

struct CaseRun {
  char32_t first, last;
  uint32_t step;
  int32_t difference;
};

#include <qing/nn/text/pipeline/unicode_runs.inl>

}  // namespace

PropertyTable::PropertyTable() {
  int used = 0;
  size_t run = 0;
  for (char32_t high = 0; high < 0x1100; ++high) {
    uint32_t block[256];
    for (char32_t low = 0; low < 256; ++low) {
      const char32_t c = high << 8 | low;
      while (run + 1 < std::size(kPropertyRuns) && kPropertyRuns[run + 1].first <= c) ++run;
      block[low] = kPropertyRuns[run].bits;
    }
    // Blocks of one value, such as most ideographs, follow each other.
    const bool again = used > 0 && std::memcmp(block, blocks_[used - 1], sizeof(block)) == 0;
    if (!again) std::memcpy(blocks_[used++], block, sizeof(block));
    index_[high] = static_cast<uint16_t>(used - 1);
  }
}

const PropertyTable& PropertyTable::get() {
  static const std::unique_ptr<const PropertyTable> table(new PropertyTable);
  return *table;
}

char32_t PropertyTable::lower(char32_t c) const {
  const CaseRun* run = std::upper_bound(std::begin(kCaseRuns), std::end(kCaseRuns), c,
                                        [](char32_t x, const CaseRun& r) { return x < r.first; });
  // Runs with a step of 2 may overlap.
  while (run != std::begin(kCaseRuns)) {
    --run;
    if (c <= run->last && (c - run->first) % run->step == 0)
      return static_cast<char32_t>(static_cast<int32_t>(c) + run->difference);
  }
  return c;
}

}  // namespace qing::nn::text
