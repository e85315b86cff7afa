// The tokens of a model, by id and by text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qing::nn::text {

/// Hash of a few bytes (FNV-1a in steps of 8), for tables of one process.
inline uint64_t hash_bytes(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325U ^ text.size();
  size_t at = 0;
  const auto mix = [&](uint64_t word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 29;
  };
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word;
    __builtin_memcpy(&word, text.data() + at, 8);
    mix(word);
  }
  uint64_t rest = 0;
  __builtin_memcpy(&rest, text.data() + at, text.size() - at);
  mix(rest);
  return hash;
}

/// Ids need not follow each other; an id without a token has an empty text. Thread-safe once filled.
class Vocabulary {
 public:
  Vocabulary() = default;
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  /// If the text exists already, it gets the new id. With keep_old_id the old id still shows the text; otherwise the
  /// old id has no token. DataError for an id outside of [0, 2^24).
  void add(std::string_view text, int32_t id, bool keep_old_id = false);
  /// DataError when the ids reach so far above the number of tokens that a table by id would waste memory.
  void check() const;

  int32_t find(std::string_view text) const;  ///< the id, or -1
  /// The token's text; empty for an id without one.
  const std::string& text(int32_t id) const;
  bool has(int32_t id) const {
    return id >= 0 && static_cast<size_t>(id) < by_id_.size() && by_id_[static_cast<size_t>(id)] >= 0;
  }
  size_t size() const { return size_; }                                   ///< tokens
  int32_t id_end() const { return static_cast<int32_t>(by_id_.size()); }  ///< one above the highest id
  void reserve(size_t tokens);
  /// Calls f(text, id) for every token, in ascending order of ids.
  template <class F> void for_each(const F& f) const {
    for (size_t id = 0; id < by_id_.size(); ++id) {
      if (by_id_[id] >= 0)
        f(std::string_view(entries_[static_cast<size_t>(by_id_[id])].text), static_cast<int32_t>(id));
    }
  }

 private:
  struct Entry {
    std::string text;
    int32_t id;
  };
  void grow(size_t slots);

  std::deque<Entry> entries_;  // which keeps the strings in place
  std::vector<int32_t> by_id_;
  std::vector<std::pair<uint32_t, int32_t>> slots_;  // hash and entry, or -1: open addressing
  size_t size_ = 0;
};

}  // namespace qing::nn::text
