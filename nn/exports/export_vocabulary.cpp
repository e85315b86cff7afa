#include <qing/nn/exports/export_vocabulary.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <string_view>

#include <qing/nn/text/normalizer.h>
#include <qing/nn/utf8.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

constexpr std::string_view kContinuation = "##";
// The range of characters for private use. BERT's cleanup removes all of them, so one can stand for any other
// character.
constexpr char32_t kFirstPrivate = 0xE000;

bool continues(std::string_view token) {
  return token.starts_with(kContinuation) && token.size() > kContinuation.size();
}
std::string_view text_of(std::string_view token) {
  return continues(token) ? token.substr(kContinuation.size()) : token;
}
bool is_special(std::string_view token) {
  return std::find(std::begin(kSpecialTokens), std::end(kSpecialTokens), token) != std::end(kSpecialTokens);
}

std::string utf8_of(char32_t c) {
  std::string text;
  append_utf8(text, c);
  return text;
}

// The characters of all pieces. A vocabulary may hold an entry that is not UTF-8; no text contains it.
std::set<char32_t> alphabet_of(const Tokenizer& tokenizer) {
  std::set<char32_t> alphabet;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string token = tokenizer.token(id);
    if (is_special(token) || find_invalid_utf8(token)) continue;
    const std::string_view text = text_of(token);
    for (size_t at = 0; at < text.size();) alphabet.insert(*decode_utf8(text, at));
  }
  return alphabet;
}

// Whether the character can continue a word. Punctuation and Chinese characters are words of their own.
bool can_continue(char32_t c, const TokenizerOptions& options) {
  return split_words("a" + utf8_of(c), options).size() == 1;
}

// "[^...]" of all characters but those of the alphabet, white space and punctuation. Unknown punctuation must remain
// punctuation, which splits words; the tokenizer makes [UNK] of it. ASCII's symbols are punctuation to BERT.
std::string other_characters(const std::set<char32_t>& alphabet) {
  std::string expression = R"([^\s\p{P}\x{21}-\x{2f}\x{3a}-\x{40}\x{5b}-\x{60}\x{7b}-\x{7e})";
  for (auto first = alphabet.begin(); first != alphabet.end();) {
    auto last = first;
    while (std::next(last) != alphabet.end() && *std::next(last) == *last + 1) ++last;
    expression += fmt::format(R"(\x{{{:x}}}-\x{{{:x}}})", static_cast<uint32_t>(*first), static_cast<uint32_t>(*last));
    first = std::next(last);
  }
  return expression + "]";
}

}  // namespace

ExportVocabulary export_vocabulary(const Tokenizer& tokenizer) {
  const std::set<char32_t> alphabet = alphabet_of(tokenizer);
  char32_t unused = kFirstPrivate;
  while (alphabet.contains(unused)) ++unused;
  ExportVocabulary result{.tokens = {}, .other = utf8_of(unused), .bytes = {}, .flags = {}};
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) result.tokens.push_back(tokenizer.token(id));
  const auto known = static_cast<size_t>(tokenizer.vocab_size());
  const auto add = [&](const std::string& token) {
    if (tokenizer.id(token) == tokenizer.unk_id()) result.tokens.push_back(token);
  };
  const std::string marker(kContinuation);
  for (const char32_t c : alphabet) {
    add(utf8_of(c));
    if (can_continue(c, tokenizer.options())) add(marker + utf8_of(c));
  }
  add(result.other);
  add(marker + result.other);

  // Empty for what stands for no text.
  const auto readable = [&](std::string_view token) {
    return is_special(token) || text_of(token) == result.other ? std::string_view() : text_of(token);
  };
  size_t longest = 1;
  for (const std::string& token : result.tokens) longest = std::max(longest, readable(token).size());
  const auto rows = static_cast<int64_t>(result.tokens.size());
  result.bytes = Tensor::zeros({rows, static_cast<int64_t>(longest)}, DType::u8);
  result.flags = Tensor::zeros({rows}, DType::u8);
  for (size_t id = 0; id < result.tokens.size(); ++id) {
    const std::string& token = result.tokens[id];
    uint8_t* const bytes = result.bytes.data<uint8_t>() + id * longest;
    bytes[0] = kNoCharacter;
    std::ranges::copy(readable(token), bytes);
    result.flags.data<uint8_t>()[id] =
        static_cast<uint8_t>((continues(token) ? kPieceContinues : 0) | (id >= known ? kPieceExtra : 0));
  }
  return result;
}

std::string ngram_tokenizer_json(const Tokenizer& tokenizer, const ExportVocabulary& vocabulary) {
  json::object file = json::parse(tokenizer.pipeline_json()).as_object();
  file["truncation"] = nullptr;
  const json::object others = {
      {"type", "Replace"},
      {"pattern", json::object{{"Regex", other_characters(alphabet_of(tokenizer))}}},
      {"content", vocabulary.other},
  };
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array{file.at("normalizer"), others}}};
  json::object& model = file.at("model").as_object();
  // The exported model makes [UNK] of a longer word.
  model["max_input_chars_per_word"] = 1 << 30;
  json::object& ids = model.at("vocab").as_object();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) ids[vocabulary.tokens[id]] = id;
  return json::serialize(file) + "\n";
}

}  // namespace qing::nn
