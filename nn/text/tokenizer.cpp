#include <qing/nn/text/tokenizer.h>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include <qing/nn/text/normalizer.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr std::string_view kContinuation = "##";

struct SpecialMatch {
  size_t begin, length, which;
};

// Finds the first special token in text[from, ...). All begin with '[', and none is a prefix of another.
SpecialMatch find_special(std::string_view text, size_t from) {
  for (size_t at = text.find('[', from); at != std::string_view::npos; at = text.find('[', at + 1)) {
    for (size_t i = 0; i < std::size(kSpecialTokens); ++i) {
      if (text.substr(at).starts_with(kSpecialTokens[i])) return {at, kSpecialTokens[i].size(), i};
    }
  }
  return {text.size(), 0, 0};
}

}  // namespace

Tokenizer::Tokenizer(std::vector<std::string> vocabulary, TokenizerOptions options)
    : vocabulary_(std::move(vocabulary)), options_(options) {
  if (options_.max_length < 2) {
    throw ValueError(
        fmt::format("tokenizer: max_length is {}; it must leave room for [CLS] and [SEP]", options_.max_length));
  }
  for (size_t i = 0; i < vocabulary_.size(); ++i) {
    const std::string_view token = vocabulary_[i];
    if (token.find_first_of("\r\n") != token.npos) {
      throw ValueError(fmt::format("vocabulary: the token with id {} has a line break inside", i));
    }
    const bool continues = token.starts_with(kContinuation) && token.size() > kContinuation.size();
    const std::string_view piece = continues ? token.substr(kContinuation.size()) : token;
    auto& map = continues ? continuing_ : whole_;
    if (!map.emplace(piece, static_cast<int32_t>(i)).second) {
      throw ValueError(fmt::format("vocabulary: '{}' appears twice, the second time as id {}", token, i));
    }
    longest_ = std::max(longest_, piece.size());
  }
  for (size_t i = 0; i < std::size(kSpecialTokens); ++i) {
    const auto found = whole_.find(kSpecialTokens[i]);
    if (found == whole_.end()) throw ValueError(fmt::format("vocabulary: {} is missing", kSpecialTokens[i]));
    special_[i] = found->second;
  }
}

void Tokenizer::encode_segment(std::string_view text, uint32_t base, Encoding& encoding) const {
  for (const Word& word : split_words(text, options_, base)) {
    const size_t first_id = encoding.ids.size();
    const std::string_view letters = word.text;
    size_t begin = 0;  // counted in characters
    while (begin < word.characters() && word.characters() <= kMaxWordCharacters) {
      const auto& map = begin == 0 ? whole_ : continuing_;
      size_t end = word.characters();
      auto found = map.end();
      for (; end > begin; --end) {
        const uint32_t from = word.starts[begin], to = word.starts[end];
        if (to - from > longest_) continue;
        found = map.find(letters.substr(from, to - from));
        if (found != map.end()) break;
      }
      if (end == begin) break;
      encoding.ids.push_back(found->second);
      encoding.offsets.emplace_back(word.origins[begin].first, word.origins[end - 1].second);
      begin = end;
    }
    if (begin < word.characters()) {  // the word cannot be spelled with pieces
      encoding.ids.resize(first_id);
      encoding.offsets.resize(first_id);
      encoding.ids.push_back(unk_id());
      encoding.offsets.emplace_back(word.origins.front().first, word.origins.back().second);
    }
  }
}

Encoding Tokenizer::encode(std::string_view text) const {
  Encoding encoding;
  encoding.ids.push_back(cls_id());
  encoding.offsets.emplace_back(0, 0);
  for (size_t position = 0; position < text.size();) {
    const SpecialMatch special = find_special(text, position);
    encode_segment(text.substr(position, special.begin - position), static_cast<uint32_t>(position), encoding);
    position = special.begin + special.length;
    if (special.length == 0) break;
    encoding.ids.push_back(special_[special.which]);
    encoding.offsets.emplace_back(static_cast<uint32_t>(special.begin), static_cast<uint32_t>(position));
  }
  const auto room = static_cast<size_t>(options_.max_length) - 1;
  if (encoding.ids.size() > room) {
    encoding.truncated = true;
    encoding.ids.resize(room);
    encoding.offsets.resize(room);
  }
  encoding.ids.push_back(sep_id());
  encoding.offsets.emplace_back(0, 0);
  return encoding;
}

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(vocabulary_.size()); }

const std::string& Tokenizer::token(int32_t id) const {
  if (id < 0 || id >= vocab_size()) throw IndexError(fmt::format("token: id {} is outside [0, {})", id, vocab_size()));
  return vocabulary_[static_cast<size_t>(id)];
}

int32_t Tokenizer::id(std::string_view token) const {
  const bool continues = token.starts_with(kContinuation) && token.size() > kContinuation.size();
  const auto& map = continues ? continuing_ : whole_;
  const auto found = map.find(continues ? token.substr(kContinuation.size()) : token);
  return found == map.end() ? unk_id() : found->second;
}

}  // namespace qing::nn
