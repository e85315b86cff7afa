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
  /// Byte range [begin, end) in the original UTF-8 text of every id; (0, 0) for special tokens. Of a pair each offset
  /// points into the id's own text.
  std::vector<std::pair<uint32_t, uint32_t>> offsets;
  bool truncated = false;
  std::vector<int32_t> type_ids = {};  ///< of every id; 1 for the second text where the model tells them apart
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

/// How a file wants batches filled up. Models of this library take ragged batches, so that nothing is padded unless a
/// caller asks.
struct Padding {
  std::optional<size_t> length = {};  ///< fixed; without it that of the batch's longest
  Side side = Side::kRight;
  size_t multiple = 1;  ///< lengths are multiples of it
  int32_t id = 0, type_id = 0;
  std::string token = "[PAD]";
};

/// The length that the padding gives encodings of these lengths.
size_t padded_length(const Padding& padding, std::span<const Encoding> encodings);
/// Fills an encoding up to the length; a longer one stays. Returns the attention mask: 1 for its own tokens, 0 for the
/// rest.
std::vector<int32_t> pad(Encoding& encoding, size_t length, const Padding& padding);

}  // namespace qing::nn
