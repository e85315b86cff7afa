#include <qing/nn/text/pipeline/decoders.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <qing/nn/text/pipeline/aligned_text.h>
#include <qing/nn/text/pipeline/byte_level.h>
#include <qing/nn/utf8.h>

namespace qing::nn::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  std::string result;
  size_t begin = 0;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, begin)) {
    result.append(text, begin, at - begin).append(to);
    begin = at + from.size();
  }
  if (begin == 0) return;
  text = result.append(text, begin);
}

// As String::from_utf8_lossy of Rust: each longest beginning of a character becomes one U+FFFD.
std::string valid_utf8(std::string_view bytes) {
  std::string result;
  for (size_t at = 0; at < bytes.size();) {
    const size_t begin = at;
    if (decode_utf8(bytes, at)) {
      result += bytes.substr(begin, at - begin);
      continue;
    }
    const auto byte = [&](size_t i) {
      return begin + i < bytes.size() ? static_cast<unsigned char>(bytes[begin + i]) : 0;
    };
    const auto lead = byte(0), second = byte(1);
    const size_t length = lead >= 0xC2 && lead < 0xE0   ? 2
                          : lead >= 0xE0 && lead < 0xF0 ? 3
                          : lead >= 0xF0 && lead < 0xF5 ? 4
                                                        : 1;
    const int least = lead == 0xE0   ? 0xA0
                      : lead == 0xF0 ? 0x90
                                     : 0x80,
              most = lead == 0xED   ? 0x9F
                     : lead == 0xF4 ? 0x8F
                                    : 0xBF;
    size_t taken = 1;
    if (length > 1 && second >= least && second <= most) {
      for (taken = 2; taken < length && (byte(taken) & 0xC0) == 0x80; ++taken) {}
    }
    result += kReplacement;
    at = begin + taken;
  }
  return result;
}

class Sequence final : public Decoder {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Decoder>> stages) : stages_(std::move(stages)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (const auto& stage : stages_) stage->apply(tokens);
  }

 private:
  std::vector<std::unique_ptr<Decoder>> stages_;
};

class WordPiece final : public Decoder {
 public:
  WordPiece(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  void apply(std::vector<std::string>& tokens) const override {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kCleanups{{{" .", "."},
                                                                                       {" ?", "?"},
                                                                                       {" !", "!"},
                                                                                       {" ,", ","},
                                                                                       {" ' ", "'"},
                                                                                       {" n't", "n't"},
                                                                                       {" 'm", "'m"},
                                                                                       {" do not", " don't"},
                                                                                       {" 's", "'s"},
                                                                                       {" 've", "'ve"},
                                                                                       {" 're", "'re"}}};
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) {
        if (tokens[i].starts_with(prefix_)) {
          tokens[i].erase(0, prefix_.size());
        } else {
          tokens[i].insert(tokens[i].begin(), ' ');
        }
      }
      if (!cleanup_) continue;
      for (const auto& [from, to] : kCleanups) replace_all(tokens[i], from, to);
    }
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class ByteLevel final : public Decoder {
  void apply(std::vector<std::string>& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) {
      const size_t begin = bytes.size();
      for (size_t at = 0; at < token.size();) {
        const auto byte = character_byte(next_character(token, at));
        if (!byte) {  // no byte-level text
          bytes.resize(begin);
          bytes += token;
          break;
        }
        bytes.push_back(static_cast<char>(*byte));
      }
    }
    tokens = {valid_utf8(bytes)};
  }
};

class Metaspace final : public Decoder {
 public:
  Metaspace(char32_t replacement, bool prepended) : prepended_(prepended) { append_utf8(replacement_, replacement); }
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) replace_all(tokens[i], replacement_, i == 0 && prepended_ ? "" : " ");
  }

 private:
  std::string replacement_;
  bool prepended_;
};

class Bpe final : public Decoder {
 public:
  explicit Bpe(std::string suffix) : suffix_(std::move(suffix)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
  }

 private:
  std::string suffix_;
};

class ByteFallback final : public Decoder {
  static std::optional<unsigned char> byte_of(const std::string& token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
    int value = 0;
    for (const char c : token.substr(3, 2)) {
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                               : -1;
      if (digit < 0) return std::nullopt;
      value = 16 * value + digit;
    }
    return static_cast<unsigned char>(value);
  }
  void apply(std::vector<std::string>& tokens) const override {
    std::vector<std::string> result;
    std::string bytes;
    const auto close = [&] {
      if (bytes.empty()) return;
      if (!find_invalid_utf8(bytes)) {
        result.push_back(bytes);
      } else {
        result.insert(result.end(), bytes.size(), std::string(kReplacement));
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = byte_of(token)) {
        bytes.push_back(static_cast<char>(*byte));
      } else {
        close();
        result.push_back(std::move(token));
      }
    }
    close();
    tokens = std::move(result);
  }
};

class Fuse final : public Decoder {
  void apply(std::vector<std::string>& tokens) const override {
    std::string all;
    for (const std::string& token : tokens) all += token;
    tokens = {all};
  }
};

class Strip final : public Decoder {
 public:
  Strip(char32_t content, size_t start, size_t stop) : start_(start), stop_(stop) { append_utf8(content_, content); }
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      for (size_t i = 0; i < start_ && token.starts_with(content_); ++i) token.erase(0, content_.size());
      for (size_t i = 0; i < stop_ && token.ends_with(content_); ++i) token.resize(token.size() - content_.size());
    }
  }

 private:
  std::string content_;
  size_t start_, stop_;
};

class Replace final : public Decoder {
 public:
  Replace(TextPattern pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(std::vector<std::string>& tokens) const override {
    std::u32string values;
    for (std::string& token : tokens) {
      values.clear();
      for (size_t at = 0; at < token.size();) values.push_back(next_character(token, at));
      std::string result;
      const auto copy = [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) append_utf8(result, values[i]);
      };
      size_t from = 0, begin = 0, end = 0;
      while (pattern_.find(values, from, begin, end)) {
        copy(from, begin);
        result += content_;
        from = end;
      }
      copy(from, values.size());
      token = std::move(result);
    }
  }

 private:
  TextPattern pattern_;
  std::string content_;
};

}  // namespace

std::unique_ptr<Decoder> decoder_sequence(std::vector<std::unique_ptr<Decoder>> stages) {
  return std::make_unique<Sequence>(std::move(stages));
}
std::unique_ptr<Decoder> wordpiece_decoder(std::string prefix, bool cleanup) {
  return std::make_unique<WordPiece>(std::move(prefix), cleanup);
}
std::unique_ptr<Decoder> byte_level_decoder() { return std::make_unique<ByteLevel>(); }
std::unique_ptr<Decoder> metaspace_decoder(char32_t replacement, bool prepended) {
  return std::make_unique<Metaspace>(replacement, prepended);
}
std::unique_ptr<Decoder> bpe_decoder(std::string suffix) { return std::make_unique<Bpe>(std::move(suffix)); }
std::unique_ptr<Decoder> byte_fallback_decoder() { return std::make_unique<ByteFallback>(); }
std::unique_ptr<Decoder> fuse_decoder() { return std::make_unique<Fuse>(); }
std::unique_ptr<Decoder> strip_decoder(char32_t content, size_t start, size_t stop) {
  return std::make_unique<Strip>(content, start, stop);
}
std::unique_ptr<Decoder> replace_decoder(TextPattern pattern, std::string content) {
  return std::make_unique<Replace>(std::move(pattern), std::move(content));
}

}  // namespace qing::nn::text
