#include <qing/nn/data/text_encoding.h>

#include <fmt/format.h>
#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <qing/nn/data/single_byte_guess.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

// What iconv_open() returns when it fails.
const iconv_t kNoDecoder = reinterpret_cast<iconv_t>(-1);  // NOLINT(performance-no-int-to-ptr): POSIX has it so

constexpr size_t kSampleBytes = 1 << 20;
constexpr char kRefused = '\xFF';  // is no UTF-8

unsigned at(std::string_view bytes, size_t i) { return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0; }
bool is_high(unsigned c) { return c >= 0x80; }

// A rate of bytes that fit, and of all that could.
struct Share {
  size_t fit = 0, all = 0;
  bool is_most() const { return all > 0 && 4 * fit >= 3 * all; }
};

// A sample may end inside a character.
constexpr size_t kCutBytes = 3;

// Bytes of valid UTF-8 sequences among those above 127.
Share utf8_share(std::string_view bytes) {
  Share share;
  for (size_t i = 0; i < bytes.size();) {
    const size_t begin = i;
    if (!is_high(at(bytes, i))) {
      ++i;
    } else if (decode_utf8(bytes, i)) {
      share.fit += i - begin;
      share.all += i - begin;
    } else {
      ++i;
      if (bytes.size() - begin > kCutBytes) ++share.all;
    }
  }
  return share;
}

// Pairs of GB 18030 that are signs or common characters (GB 2312, level 1). Nothing when the bytes break its rules.
std::optional<Share> gb18030_share(std::string_view bytes) {
  Share share;
  for (size_t i = 0; i < bytes.size();) {
    const unsigned first = at(bytes, i), second = at(bytes, i + 1);
    if (!is_high(first)) {
      ++i;
      continue;
    }
    if (bytes.size() - i <= kCutBytes && i + 1 == bytes.size()) break;
    if (first == 0x80 || first == 0xFF) return std::nullopt;
    const bool four = second >= '0' && second <= '9';
    if (!four && (second < 0x40 || second == 0x7F || second == 0xFF)) return std::nullopt;
    ++share.all;
    if (second >= 0xA1 && ((first >= 0xA1 && first <= 0xA3) || (first >= 0xB0 && first <= 0xD7))) ++share.fit;
    i += four ? 4 : 2;
  }
  return share;
}

// The encoding of bytes that are letters of words or pairs of GB 18030, or both. Empty when neither is likely.
std::string letters_or_pairs(std::string_view bytes, const std::optional<Share>& pairs) {
  constexpr size_t kManyPairs = 6;  // so many pairs are not by chance letters of one language too
  const SingleByteGuess letters = guess_single_byte(bytes);
  const bool in_words = 3 * letters.in_latin_words >= 1;
  if (pairs && pairs->all < (in_words ? 2 : kManyPairs)) {
    if (pairs->is_most()) return "GB18030";
    if (!in_words) return {};
  }
  return pairs && pairs->is_most() && letters.fit < 0.95 ? "GB18030" : letters.encoding;
}

// The first byte above 127, or the size.
size_t first_high(std::string_view bytes) {
  size_t i = 0;
  for (; i + sizeof(uint64_t) <= bytes.size(); i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, sizeof word);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  while (i < bytes.size() && !is_high(at(bytes, i))) ++i;
  return i;
}

// UTF-16 without a mark, by the NUL bytes of its ASCII characters: half of all bytes in a text of ASCII, and in other
// texts those of line feeds and separators.
std::string utf16_by_nuls(std::string_view bytes) {
  std::array<size_t, 2> nuls{};
  for (size_t i = 0; i < bytes.size(); ++i) nuls[i % 2] += bytes[i] == '\0' ? 1 : 0;
  if (nuls[0] + nuls[1] == 0 || bytes.size() < 4) return {};
  const bool little = nuls[1] > nuls[0];
  const size_t most = std::max(nuls[0], nuls[1]), least = std::min(nuls[0], nuls[1]);
  const bool of_ascii = least == 0 && 5 * most >= 2 * bytes.size();
  const bool of_others = most > 4 * least && utf8_share(bytes).fit == 0 && first_high(bytes) < bytes.size();
  if (!of_ascii && !of_others) return {};
  return little ? "UTF-16LE" : "UTF-16BE";
}

// iconv's state with what is left of the input.
class Decoder {
 public:
  Decoder(ByteInput input, const std::string& encoding)
      : input_(std::move(input)),
        step_(encoding.starts_with("UTF-16") ? 2 : 1),
        iconv_(iconv_open("UTF-8", encoding.c_str())) {
    if (iconv_ == kNoDecoder) throw ValueError(fmt::format("cannot decode {}: {}", encoding, std::strerror(errno)));
  }
  ~Decoder() { iconv_close(iconv_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  size_t read(std::span<char> into) {
    // A caller may ask for less than one character takes, so the rest of it waits.
    for (;;) {
      if (!waiting_.empty()) {
        const size_t count = std::min(into.size(), waiting_.size());
        std::memcpy(into.data(), waiting_.data(), count);
        waiting_.erase(0, count);
        return count;
      }
      if (begin_ == held_.size() && !fill()) return 0;
      std::array<char, 1 << 14> piece{};
      char* to = piece.data();
      size_t left_out = piece.size(), left_in = held_.size() - begin_;
      char* from = held_.data() + begin_;
      const size_t result = iconv(iconv_, &from, &left_in, &to, &left_out);
      const int why = errno;
      begin_ = held_.size() - left_in;
      waiting_.assign(piece.data(), piece.size() - left_out);
      if (result != size_t(-1) || why == E2BIG) continue;
      if (why == EINVAL && fill()) continue;
      // Not in the encoding, or cut off by the end of the input.
      waiting_ += kRefused;
      begin_ = std::min(begin_ + step_, held_.size());
    }
  }

 private:
  bool fill() {
    held_.erase(0, std::exchange(begin_, 0));
    const size_t before = held_.size();
    held_.resize(before + (1 << 16));
    const size_t count = input_(std::span(held_).subspan(before));
    held_.resize(before + count);
    return count > 0;
  }

  ByteInput input_;
  size_t step_;
  iconv_t iconv_;
  std::string held_, waiting_;
  size_t begin_ = 0;
};

}  // namespace

std::string encoding_named(std::string_view name) {
  std::string key;
  for (const char c : name) {
    if (c == '-' || c == '_' || c == ' ' || c == '.') continue;
    key += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  static const std::vector<std::pair<std::string_view, const char*>> kNames = {
      {"UTF8", "UTF-8"},         {"UTF8SIG", "UTF-8"},      {"ASCII", "UTF-8"},       {"USASCII", "UTF-8"},
      {"UTF16", "UTF-16"},       {"UTF16LE", "UTF-16LE"},   {"UTF16BE", "UTF-16BE"},  {"GB18030", "GB18030"},
      {"GBK", "GB18030"},        {"GB2312", "GB18030"},     {"CP936", "GB18030"},     {"CP1252", "CP1252"},
      {"WINDOWS1252", "CP1252"}, {"ANSI", "CP1252"},        {"LATIN1", "ISO-8859-1"}, {"ISO88591", "ISO-8859-1"},
      {"BIG5", "BIG5"},          {"SHIFTJIS", "SHIFT_JIS"}, {"SJIS", "SHIFT_JIS"},    {"EUCKR", "EUC-KR"},
  };
  for (const auto& [known, spelled] : kNames) {
    if (key == known) return spelled;
  }
  std::string given(name);
  // iconv would take a suffix such as //IGNORE, which drops what it cannot decode.
  const iconv_t found =
      given.find_first_of("/,\0") == given.npos && !given.empty() ? iconv_open("UTF-8", given.c_str()) : kNoDecoder;
  if (found == kNoDecoder) {
    throw ValueError(fmt::format(
        "unknown encoding '{}'; use utf-8, utf-16, gb18030, cp1252 or another one that `iconv --list` names", given));
  }
  iconv_close(found);
  return given;
}

std::string shown_encoding(const std::string& name) {
  if (name == "UTF-16LE") return "UTF-16 (little endian)";
  if (name == "UTF-16BE") return "UTF-16 (big endian)";
  if (name == "GB18030") return "GB 18030";
  if (name.size() == 6 && name.starts_with("CP125")) return "Windows-" + name.substr(2);
  return name;
}

std::string guess_encoding(std::string_view bytes) {
  if (bytes.starts_with("\xEF\xBB\xBF")) return "UTF-8";
  if (bytes.starts_with("\xFF\xFE")) return "UTF-16LE";
  if (bytes.starts_with("\xFE\xFF")) return "UTF-16BE";
  if (bytes.starts_with("\x84\x31\x95\x33")) return "GB18030";
  if (std::string utf16 = utf16_by_nuls(bytes); !utf16.empty()) return utf16;
  const Share utf8 = utf8_share(bytes);
  if (first_high(bytes) == bytes.size() || (utf8.all > 0 && utf8.fit == utf8.all)) return "UTF-8";
  const std::optional<Share> pairs = gb18030_share(bytes);
  // A few Chinese characters may look like damaged UTF-8.
  if (utf8.is_most() && !(pairs && pairs->is_most())) return "UTF-8";
  const std::string found = letters_or_pairs(bytes, pairs);
  return found.empty() ? "UTF-8" : found;
}

std::string guess_file_encoding(const std::filesystem::path& path) {
  FileReader file(path);
  std::string bytes;
  for (bool first = true;; first = false) {
    size_t held = bytes.size();
    bytes.resize(kSampleBytes);
    for (size_t count = 1; count > 0 && held < bytes.size(); held += count) {
      count = file.read(std::span(bytes).subspan(held));
    }
    const bool ended = held < bytes.size();
    bytes.resize(held);
    const size_t high = first_high(bytes);
    // Enough bytes must follow the first one above 127. Marks and NUL bytes are in the first piece.
    if (ended || high + kSampleBytes / 2 < held || (first && bytes.find('\0') != bytes.npos))
      return guess_encoding(bytes);
    bytes.erase(0, high);
  }
}

ByteInput decoded(ByteInput input, const std::string& encoding) {
  if (encoding == "UTF-8") return input;
  const auto decoder = std::make_shared<Decoder>(std::move(input), encoding);
  return [decoder](std::span<char> into) { return decoder->read(into); };
}

}  // namespace qing::nn
