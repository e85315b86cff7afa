#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <queue>

#include <qing/nn/text/pipeline/aligned_text.h>
#include <qing/nn/text/pipeline/token_model.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {

std::string byte_token(unsigned char byte) { return fmt::format("<0x{:02X}>", byte); }

std::optional<unsigned char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  unsigned value = 0;
  for (const char c : token.substr(3, 2)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'A' && c <= 'F')) return std::nullopt;
    value = 16 * value + static_cast<unsigned>(digit ? c - '0' : c - 'A' + 10);
  }
  return static_cast<unsigned char>(value);
}

namespace {

constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();

// The merges by their pair: open addressing in one array.
class MergeTable {
 public:
  struct Merge {
    uint32_t rank = kNoRank;
    int32_t id = -1;
  };

  void reserve(size_t merges) { slots_.resize(std::bit_ceil(std::max<size_t>(16, 2 * merges))); }
  void add(int32_t left, int32_t right, Merge merge) {
    Slot& slot = slots_[place(key(left, right))];
    slot = {key(left, right), merge};
  }
  Merge find(int32_t left, int32_t right) const { return slots_[place(key(left, right))].merge; }

 private:
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge;
  };
  static constexpr uint64_t kEmpty = ~uint64_t{0};

  static uint64_t key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t place(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    size_t at = (key * 0x9E3779B97F4A7C15U >> 32) & mask;
    while (slots_[at].key != key && slots_[at].key != kEmpty) at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
};

struct Symbol {
  int32_t id;
  uint32_t begin, end;
  MergeTable::Merge merge;  // with the symbol behind it
  int32_t previous, next;   // of the long way; -1 at the ends
};

class Bpe final : public TokenModel {
 public:
  Bpe(Vocabulary vocabulary, const std::vector<std::pair<std::string, std::string>>& merges, const BpeOptions& options)
      : TokenModel(std::move(vocabulary)), options_(options) {
    if (options_.unknown) {
      unknown_ = vocabulary_.find(*options_.unknown);
      if (unknown_ < 0) throw DataError(fmt::format("unk_token: '{}' is not in the vocabulary", *options_.unknown));
    }
    merges_.reserve(merges.size());
    for (size_t rank = 0; rank < merges.size(); ++rank) add_merge(merges[rank].first, merges[rank].second, rank);
    plain_ = options_.continuing_prefix.empty() && options_.end_suffix.empty();
    std::string text;
    for (size_t c = 0; c < direct_.size(); ++c) {
      text.clear();
      append_utf8(text, static_cast<char32_t>(c));
      direct_[c] = vocabulary_.find(text);
    }
    if (!options_.byte_fallback) return;
    for (size_t byte = 0; byte < 256; ++byte)
      bytes_[byte] = vocabulary_.find(byte_token(static_cast<unsigned char>(byte)));
  }

  int32_t unknown() const override { return unknown_; }
  bool keeps_words() const override { return true; }

  void tokenize(std::string_view word, std::vector<Token>& tokens) const override {
    if (options_.ignore_merges) {
      if (const int32_t id = vocabulary_.find(word); id >= 0) {
        tokens.push_back({id, 0, static_cast<uint32_t>(word.size())});
        return;
      }
    }
    thread_local std::vector<Symbol> symbols;
    symbols.clear();
    spell(word, symbols);
    for (size_t i = 0; i + 1 < symbols.size(); ++i) symbols[i].merge = merges_.find(symbols[i].id, symbols[i + 1].id);
    constexpr size_t kShort = 48;
    if (symbols.size() <= kShort) {
      merge_short(symbols);
    } else {
      merge_long(symbols);
    }
    for (const Symbol& symbol : symbols) tokens.push_back({symbol.id, symbol.begin, symbol.end});
  }

 private:
  void add_merge(const std::string& left, const std::string& right, size_t rank) {
    const auto id_of = [&](const std::string& token) {
      const int32_t id = vocabulary_.find(token);
      if (id < 0) throw DataError(fmt::format("merges: '{}' of merge {} is not in the vocabulary", token, rank));
      return id;
    };
    const int32_t a = id_of(left), b = id_of(right);
    const size_t prefix = options_.continuing_prefix.size();
    if (right.size() < prefix)
      throw DataError(fmt::format("merges: merge {} has a part shorter than the prefix", rank));
    merges_.add(a, b, {static_cast<uint32_t>(rank), id_of(left + right.substr(prefix))});
  }

  int32_t id_of_character(std::string_view word, size_t begin, size_t end, char32_t c) const {
    if (plain_) return c < direct_.size() ? direct_[c] : vocabulary_.find(word.substr(begin, end - begin));
    std::string text(word.substr(begin, end - begin));
    if (begin > 0) text = options_.continuing_prefix + text;
    if (end == word.size()) text += options_.end_suffix;
    return vocabulary_.find(text);
  }

  // One symbol for each character; for unknown ones their bytes or the unknown token.
  void spell(std::string_view word, std::vector<Symbol>& symbols) const {
    const auto push = [&](int32_t id, size_t begin, size_t end) {
      symbols.push_back({id, static_cast<uint32_t>(begin), static_cast<uint32_t>(end), {}, 0, 0});
    };
    bool open = false;  // an unknown token that is not written yet
    size_t unknown_begin = 0, unknown_end = 0;
    const auto close = [&] {
      if (open) push(unknown_, unknown_begin, unknown_end);
      open = false;
    };
    for (size_t at = 0; at < word.size();) {
      const size_t begin = at;
      const char32_t c = next_character(word, at);
      const int32_t id = id_of_character(word, begin, at, c);
      if (id >= 0) {
        close();
        push(id, begin, at);
        continue;
      }
      if (options_.byte_fallback && spell_bytes(word, begin, at, symbols)) continue;
      if (unknown_ < 0) {  // `tokenizers` leaves the character out; what follows moves up
        continue;
      }
      if (open && options_.fuse_unknown) {
        unknown_end = at;
        continue;
      }
      close();
      open = true;
      unknown_begin = begin;
      unknown_end = at;
    }
    close();
    // Offsets follow from the lengths, as in `tokenizers`.
    uint32_t position = 0;
    for (Symbol& symbol : symbols) {
      const uint32_t length = symbol.end - symbol.begin;
      symbol.begin = position;
      symbol.end = position += length;
    }
  }

  bool spell_bytes(std::string_view word, size_t begin, size_t end, std::vector<Symbol>& symbols) const {
    for (size_t i = begin; i < end; ++i) {
      if (bytes_[static_cast<unsigned char>(word[i])] < 0) return false;
    }
    for (size_t i = begin; i < end; ++i) {
      const int32_t id = bytes_[static_cast<unsigned char>(word[i])];
      symbols.push_back({id, static_cast<uint32_t>(i), static_cast<uint32_t>(i) + 1, {}, 0, 0});
    }
    return true;
  }

  // For a short word a look at all pairs is faster than a heap.
  void merge_short(std::vector<Symbol>& symbols) const {
    for (;;) {
      size_t best = 0;
      uint32_t rank = kNoRank;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        if (symbols[i].merge.rank < rank) {
          rank = symbols[i].merge.rank;
          best = i;
        }
      }
      if (rank == kNoRank) return;
      symbols[best].id = symbols[best].merge.id;
      symbols[best].end = symbols[best + 1].end;
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
      const auto look_up = [&](size_t i) {
        symbols[i].merge =
            i + 1 < symbols.size() ? merges_.find(symbols[i].id, symbols[i + 1].id) : MergeTable::Merge{};
      };
      look_up(best);
      if (best > 0) look_up(best - 1);
    }
  }

  void merge_long(std::vector<Symbol>& symbols) const {
    struct Entry {
      uint32_t rank;
      int32_t at, id, right_id;
      bool operator<(const Entry& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
    };
    std::priority_queue<Entry> queue;
    const auto push = [&](int32_t at) {
      Symbol& symbol = symbols[static_cast<size_t>(at)];
      if (symbol.next < 0) return;
      const int32_t right = symbols[static_cast<size_t>(symbol.next)].id;
      symbol.merge = merges_.find(symbol.id, right);
      if (symbol.merge.rank != kNoRank) queue.push({symbol.merge.rank, at, symbol.id, right});
    };
    const auto count = static_cast<int32_t>(symbols.size());
    for (int32_t i = 0; i < count; ++i) {
      symbols[static_cast<size_t>(i)].previous = i - 1;
      symbols[static_cast<size_t>(i)].next = i + 1 < count ? i + 1 : -1;
    }
    for (int32_t i = 0; i < count; ++i) push(i);
    constexpr int32_t kGone = -2;
    while (!queue.empty()) {
      const Entry entry = queue.top();
      queue.pop();
      Symbol& left = symbols[static_cast<size_t>(entry.at)];
      if (left.next < 0 || left.id != entry.id) continue;  // changed, gone, or the last
      Symbol& right = symbols[static_cast<size_t>(left.next)];
      if (right.id != entry.right_id) continue;
      left.id = merges_.find(entry.id, entry.right_id).id;
      left.end = right.end;
      left.next = right.next;
      right.next = kGone;
      if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = entry.at;
      if (left.previous >= 0) push(left.previous);
      push(entry.at);
    }
    size_t kept = 0;
    for (const Symbol& symbol : symbols) {
      if (symbol.next != kGone) symbols[kept++] = symbol;
    }
    symbols.resize(kept);
  }

  BpeOptions options_;
  int32_t unknown_ = -1;
  bool plain_;  // no prefix, no suffix
  MergeTable merges_;
  std::array<int32_t, 0x200> direct_;  // ids of characters below, which are all of byte-level text
  std::array<int32_t, 256> bytes_{};   // ids of "<0x00>" to "<0xFF>"
};

}  // namespace

std::unique_ptr<TokenModel> bpe_model(Vocabulary vocabulary,
                                      const std::vector<std::pair<std::string, std::string>>& merges,
                                      const BpeOptions& options) {
  return std::make_unique<Bpe>(std::move(vocabulary), merges, options);
}

}  // namespace qing::nn::text
