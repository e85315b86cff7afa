// What a tokenizer makes of a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qing::nn {

struct Encoding {
  std::vector<int32_t> ids;  ///< with special tokens: [CLS] ... [SEP]
  /// For each id its byte range [begin, end) in the original UTF-8 text; (0, 0) for special tokens. In a pair, offsets
  /// point into the text that the id comes from.
  std::vector<std::pair<uint32_t, uint32_t>> offsets;
  bool truncated = false;
  std::vector<int32_t> type_ids = {};  ///< one for each id; 1 for the second text if the model distinguishes them
};

/// Offsets in code points of `text`, as Python counts them, from offsets in bytes.
std::vector<std::pair<uint32_t, uint32_t>> character_offsets(std::string_view text,
                                                             std::span<const std::pair<uint32_t, uint32_t>> offsets);

enum class Side { kLeft, kRight };
enum class TruncationStrategy { kLongestFirst, kOnlyFirst, kOnlySecond };

struct Truncation {
  size_t max_length = 0;  ///< with special tokens
  TruncationStrategy strategy = TruncationStrategy::kLongestFirst;
  Side side = Side::kRight;  ///< that is cut off
  size_t stride = 0;         ///< tokens that windows of one text share
};

}  // namespace qing::nn
