#include <qing/nn/text/pipeline/post_processing.h>

#include <fmt/format.h>

#include <algorithm>

#include <qing/nn/text/pipeline/aligned_text.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

// The windows of at most `most` tokens, each sharing `stride` with the one before.
std::vector<Window> windows(size_t count, size_t most, const Truncation& truncation) {
  if (most >= count) return {{0, count}};
  if (most == 0) return {{0, 0}, {0, count, true}};
  if (truncation.stride >= most) {
    throw ValueError(fmt::format("truncation: the stride {} leaves nothing of {} tokens", truncation.stride, most));
  }
  const size_t step = most - truncation.stride;
  std::vector<Window> result;
  if (truncation.side == Side::kRight) {
    for (size_t begin = 0;; begin += step) {
      result.push_back({begin, std::min(begin + most, count), begin > 0});
      if (result.back().end == count) return result;
    }
  }
  for (size_t end = count;; end -= step) {
    result.push_back({end > most ? end - most : 0, end, end < count});
    if (result.back().begin == 0) return result;
  }
}

}  // namespace

void TokenSequence::clear() {
  ids.clear();
  offsets.clear();
  spaces.clear();
}

size_t PostProcessing::added(bool is_pair) const {
  size_t count = 0;
  for (const Part& part : is_pair ? pair : single) count += part.ids.size();
  return count;
}

void trim_offsets(std::string_view text, bool add_prefix_space, size_t first, size_t end, TokenSequence& tokens) {
  for (size_t i = first; i < end; ++i) {
    auto [leading, trailing] = tokens.spaces[i];
    if (leading == 0 && trailing == 0) continue;
    auto& [from, to] = tokens.offsets[i];
    if ((i == first || from == 0) && add_prefix_space && leading == 1) leading = 0;
    size_t at = from;
    for (; leading > 0 && at < to; --leading) next_character(text, at);
    from = static_cast<uint32_t>(std::min<size_t>(at, to));
    size_t stop = to;
    for (; trailing > 0 && stop > 0; --trailing) stop = previous_begin(text, stop);
    if (trailing == 0) to = std::max(static_cast<uint32_t>(stop), from);
  }
}

std::pair<std::vector<Window>, std::vector<Window>> truncate(size_t first, std::optional<size_t> second, size_t room,
                                                             const Truncation& truncation) {
  const size_t other = second.value_or(0), total = first + other;
  if (room > 0 && total <= room) return {{{0, first}}, {{0, other}}};
  if (room == 0 || truncation.strategy == TruncationStrategy::kLongestFirst) {
    if (!second) return {windows(first, room, truncation), {{0, 0}}};
    // The shorter text stays whole if the longer one has enough tokens to lose. Otherwise each gets half.
    size_t less = std::min(first, other), more = less > room ? less : std::max(less, room - less);
    if (room == 0) {
      less = more = 0;
    } else if (less + more > room) {
      less = room / 2;
      more = less + room % 2;
    }
    if (first > other) std::swap(less, more);
    return {windows(first, less, truncation), windows(other, more, truncation)};
  }
  const bool cut_first = truncation.strategy == TruncationStrategy::kOnlyFirst;
  if (!cut_first && !second) throw ValueError("truncation: only_second wants a second text");
  const size_t length = cut_first ? first : other, surplus = total - room;
  if (length <= surplus) {
    throw ValueError(fmt::format("truncation: the text to cut has {} tokens, and {} are too many", length, surplus));
  }
  const auto cut = windows(length, length - surplus, truncation);
  if (cut_first) return {cut, {{0, other}}};
  return {{{0, first}}, cut};
}

}  // namespace qing::nn::text
