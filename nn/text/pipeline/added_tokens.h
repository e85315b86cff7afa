// Tokens that are found in the text before any other stage.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <qing/nn/text/pipeline/aligned_text.h>
#include <qing/nn/text/pipeline/double_array.h>
#include <qing/nn/text/pipeline/normalizers.h>
#include <qing/nn/text/pipeline/token_model.h>

namespace qing::nn::text {

struct AddedToken {
  std::string content;
  bool single_word = false;             ///< does not match beside a word character
  bool lstrip = false, rstrip = false;  ///< the match includes the white space on that side
  bool normalized = true;               ///< both the token and the text are normalised before the search
  bool special = false;                 ///< decoding may leave it out; splitting may treat it as text

  bool operator==(const AddedToken&) const = default;
};

/// Filled once, then immutable and thread-safe.
class AddedTokens {
 public:
  /// A token of the model keeps its id. Others get the next ids after the model's and after those added before. Adding
  /// the same content again replaces the flags. Empty tokens are left out.
  void add(std::span<const AddedToken> tokens, const TokenModel& model);
  /// Prepares the search. DataError when the normaliser makes two tokens equal or one token empty.
  void finish(const Normalizer* normalizer, bool split_special);

  int32_t find(std::string_view content) const;  ///< the id, or -1
  const AddedToken* token(int32_t id) const;     ///< null when the id is none of them
  /// The text for decoding. It is normalised if the token is searched in normalised text.
  std::string_view shown(int32_t id) const;
  bool is_special(std::string_view content) const;
  int32_t id_end() const { return id_end_; }  ///< one above the highest id; 0 without tokens
  struct Entry {
    AddedToken token;
    int32_t id;
    std::string normalized;  // empty without a normaliser that changes it
  };
  const std::vector<Entry>& entries() const { return entries_; }

  /// Cuts text[begin, end) at the tokens that are looked for in raw text, or in normalised text.
  void split(std::string_view text, uint32_t begin, uint32_t end, bool normalized, std::vector<Piece>& pieces) const;
  bool looks_for(bool normalized) const { return !(normalized ? normalized_ : raw_).trie.empty(); }

 private:
  struct Finder {
    DoubleArray trie;  // values are places in entries_
    bool first[256] = {};
  };

  const Entry* entry(int32_t id) const;

  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> by_content_;
  std::unordered_map<int32_t, size_t> by_id_;
  int32_t id_end_ = 0;
  Finder raw_, normalized_;
  bool split_special_ = false;
};

}  // namespace qing::nn::text
