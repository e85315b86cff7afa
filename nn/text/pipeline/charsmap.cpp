#include <qing/nn/text/pipeline/charsmap.h>

#include <fmt/format.h>

#include <cstring>

#include <qing/nn/text/pipeline/graphemes.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

constexpr size_t kLongestCluster = 6;  // bytes; from here on a cluster is taken apart

// Darts-clone's units: a label, an offset to the children, and whether a value stands there.
bool has_leaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t label(uint32_t unit) { return unit & (1U << 31 | 0xFF); }
size_t offset(uint32_t unit) { return static_cast<size_t>(unit >> 10) << ((unit & 1U << 9) >> 6); }
uint32_t leaf_value(uint32_t unit) { return unit & ((1U << 31) - 1); }

}  // namespace

Charsmap::Charsmap(std::string_view bytes) {
  uint32_t trie_bytes = 0;
  if (bytes.size() < sizeof(trie_bytes)) throw DataError("too short for the size of its trie");
  std::memcpy(&trie_bytes, bytes.data(), sizeof(trie_bytes));
  const size_t begin = sizeof(trie_bytes), units = trie_bytes / sizeof(uint32_t);
  if (units == 0 || units * sizeof(uint32_t) > bytes.size() - begin) {
    throw DataError(fmt::format("says that its trie has {} bytes, and holds {}", trie_bytes, bytes.size() - begin));
  }
  units_.resize(units);
  std::memcpy(units_.data(), bytes.data() + begin, units * sizeof(uint32_t));
  replacements_ = std::string(bytes.substr(begin + units * sizeof(uint32_t)));
  if (const auto at = find_invalid_utf8(replacements_)) {
    throw DataError(fmt::format("the replacements are no UTF-8 at byte {}", *at));
  }
  const auto keep = [&](char c) { ascii_.emplace_back(replacement(std::string_view(&c, 1))); };
  for (char c = 0; c >= 0 && c < 0x7F; ++c) keep(c);
  const char last = 0x7F;
  keep(last);
}

template <class Found> void Charsmap::walk(std::string_view text, const Found& found) const {
  size_t node = offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0) return;
    node ^= byte;
    if (node >= units_.size() || label(units_[node]) != byte) return;
    const bool leaf = has_leaf(units_[node]);
    node ^= offset(units_[node]);
    if (!leaf) continue;
    if (node >= units_.size()) return;
    const size_t begin = leaf_value(units_[node]);
    // A hostile table may point behind its end, or between the bytes of a character.
    if (begin >= replacements_.size() || (static_cast<unsigned char>(replacements_[begin]) & 0xC0) == 0x80) return;
    const std::string_view with =
        std::string_view(replacements_).substr(begin, replacements_.find('\0', begin) - begin);
    if (!found(i + 1, with)) return;
  }
}

std::optional<std::string_view> Charsmap::replacement(std::string_view key) const {
  std::optional<std::string_view> result;
  walk(key, [&](size_t, std::string_view with) {
    result = with;
    return false;
  });
  return result;
}

std::optional<std::string_view> Charsmap::longest(std::string_view text, size_t& length) const {
  std::optional<std::string_view> result;
  walk(text, [&](size_t bytes, std::string_view with) {
    // A hostile table may have a key that ends between the bytes of a character.
    if (bytes < text.size() && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) return true;
    result = with;
    length = bytes;
    return true;
  });
  return result;
}

void Charsmap::apply(Chars& text, std::vector<Change>& changes, Chars& scratch) const {
  changes.clear();
  bool changed = false;
  const auto replace = [&](size_t old_count, std::string_view with) {
    changed = true;
    const size_t first = changes.size();
    for (size_t at = 0; at < with.size();) changes.push_back({next_character(with, at), 0});
    const size_t count = changes.size() - first;
    if (count > old_count) {
      for (size_t i = changes.size() - (count - old_count); i < changes.size(); ++i) changes[i].change = 1;
    } else if (count < old_count && !changes.empty()) {
      changes.back().change -= static_cast<int32_t>(old_count - count);
    }
  };
  const auto single = [&](char32_t c) {
    std::optional<std::string_view> with;
    if (c < 0x80) {
      if (ascii_[c]) with = *ascii_[c];
    } else {
      std::string key;  // short enough to need no memory
      append_utf8(key, c);
      with = replacement(key);
    }
    if (with) {
      replace(1, *with);
    } else {
      changes.push_back({c, 0});
    }
  };
  std::string cluster;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = grapheme_end(text, begin);
    if (end == begin + 1) {
      single(text[begin].value);
      begin = end;
      continue;
    }
    cluster.clear();
    for (size_t i = begin; i < end && cluster.size() < kLongestCluster; ++i) append_utf8(cluster, text[i].value);
    const auto with = cluster.size() < kLongestCluster ? replacement(cluster) : std::nullopt;
    if (with) {
      replace(end - begin, *with);
    } else {
      for (size_t i = begin; i < end; ++i) single(text[i].value);
    }
    begin = end;
  }
  if (changed) apply_changes(changes, text, scratch);
}

}  // namespace qing::nn::text
