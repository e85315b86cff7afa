#include "scripts.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include <qing/nn/utf8.h>

namespace qing::serve {
namespace {

struct Range {
  char32_t first, last;
  size_t script;  // index of kNames
};

constexpr std::array<std::string_view, 11> kNames = {"chinese", "japanese", "korean",     "latin", "cyrillic", "greek",
                                                     "arabic",  "hebrew",   "devanagari", "thai",  "other"};
constexpr size_t kHan = 0, kKana = 1, kOther = 10;

// The blocks of the scripts' letters (Unicode 15, Blocks.txt), in order.
constexpr Range kRanges[] = {
    {0x41, 0x5A, 3},         {0x61, 0x7A, 3},         {0xC0, 0x24F, 3},        {0x370, 0x3FF, 5},
    {0x400, 0x52F, 4},       {0x590, 0x5FF, 7},       {0x600, 0x6FF, 6},       {0x750, 0x77F, 6},
    {0x8A0, 0x8FF, 6},       {0x900, 0x97F, 8},       {0xE00, 0xE7F, 9},       {0x1100, 0x11FF, 2},
    {0x1E00, 0x1EFF, 3},     {0x1F00, 0x1FFF, 5},     {0x3040, 0x30FF, kKana}, {0x3130, 0x318F, 2},
    {0x31F0, 0x31FF, kKana}, {0x3400, 0x4DBF, kHan},  {0x4E00, 0x9FFF, kHan},  {0xAC00, 0xD7AF, 2},
    {0xF900, 0xFAFF, kHan},  {0xFB50, 0xFDFF, 6},     {0xFE70, 0xFEFF, 6},     {0xFF21, 0xFF3A, 3},
    {0xFF41, 0xFF5A, 3},     {0xFF66, 0xFF9F, kKana}, {0x20000, 0x323AF, kHan}};

// Punctuation, symbols and digits, as far as they are not within the ranges above.
bool is_no_letter(char32_t c) {
  return c < 0xC0 || (c >= 0x2000 && c < 0x2C00) || (c >= 0x3000 && c < 0x3040) || (c >= 0xFE00 && c < 0xFE70) ||
         (c >= 0xFF00 && c < 0x10000) || c >= 0x1F000;
}

}  // namespace

std::string_view language_by_script(std::string_view text) {
  std::array<size_t, kNames.size()> letters{};
  for (size_t at = 0; at < text.size();) {
    const auto c = nn::decode_utf8(text, at);
    if (!c) break;
    const Range* const range = std::upper_bound(std::begin(kRanges), std::end(kRanges), *c,
                                                [](char32_t x, const Range& r) { return x <= r.last; });
    if (range != std::end(kRanges) && *c >= range->first) {
      ++letters[range->script];
    } else if (!is_no_letter(*c)) {
      ++letters[kOther];
    }
  }
  if (letters[kKana] > 0) letters[kKana] += std::exchange(letters[kHan], 0);
  const auto most = std::ranges::max_element(letters);
  return *most == 0 ? "none" : kNames[static_cast<size_t>(most - letters.begin())];
}

}  // namespace qing::serve
