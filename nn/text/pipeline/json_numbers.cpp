#include <qing/nn/text/pipeline/json_numbers.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

namespace qing::nn::text {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The powers that a double of 64 bits can have, each the nearest.
const std::array<double, 309>& powers_of_ten() {
  static const std::array<double, 309> powers = [] {
    std::array<double, 309> result{};
    for (size_t i = 0; i < result.size(); ++i) {
      const std::string_view digits = "1e";
      char text[8];
      char* end = std::copy(digits.begin(), digits.end(), text);
      end = std::to_chars(end, text + sizeof(text), i).ptr;
      std::from_chars(text, end, result[i]);
    }
    return result;
  }();
  return powers;
}

// The default of serde_json (f64_from_parts in its src/de.rs): as many digits as fit 64 bits, times or over a power.
double serde_number(std::string_view number) {
  size_t at = 0;
  const bool negative = number.starts_with('-');
  at += negative ? 1 : 0;
  uint64_t digits = 0;
  int64_t exponent = 0;
  bool full = false, fraction = false;
  for (; at < number.size() && (is_digit(number[at]) || number[at] == '.'); ++at) {
    if (number[at] == '.') {
      fraction = true;
      continue;
    }
    const auto digit = static_cast<uint64_t>(number[at] - '0');
    constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
    full = full || digits > kMost / 10 || (digits == kMost / 10 && digit > kMost % 10);
    if (full) {
      exponent += fraction ? 0 : 1;
      continue;
    }
    digits = 10 * digits + digit;
    exponent -= fraction ? 1 : 0;
  }
  if (at < number.size()) {  // e or E
    ++at;
    const bool minus = number[at] == '-';
    at += number[at] == '-' || number[at] == '+' ? 1 : 0;
    int64_t power = 0;
    for (; at < number.size(); ++at) power = std::min<int64_t>(10 * power + (number[at] - '0'), 100000);
    exponent += minus ? -power : power;
  }
  auto value = static_cast<double>(digits);
  const auto& powers = powers_of_ten();
  while (value != 0 && exponent != 0) {
    const auto step = static_cast<size_t>(std::min<int64_t>(std::abs(exponent), 308));
    value = exponent > 0 ? value * powers[step] : value / powers[step];
    if (static_cast<int64_t>(step) == std::abs(exponent) || std::isinf(value)) break;
    exponent += exponent > 0 ? -308 : 308;
  }
  return negative ? -value : value;
}

// Walks over valid JSON.
class Walker {
 public:
  explicit Walker(std::string_view text) : text_(text) {}

  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  std::string_view scalar() {
    peek();
    const size_t begin = at_;
    if (at_ < text_.size() && text_[at_] == '"') {
      for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\' ? 1 : 0;
      ++at_;
    } else {
      while (at_ < text_.size() && std::string_view(",]} \n\r\t").find(text_[at_]) == std::string_view::npos) ++at_;
    }
    at_ = std::min(at_, text_.size());
    return text_.substr(begin, at_ - begin);
  }
  void skip() {
    size_t depth = 0;
    do {
      const char c = peek();
      if (c == '\0') return;
      if (c == '[' || c == '{') {
        ++depth;
        ++at_;
      } else if (c == ']' || c == '}') {
        --depth;
        ++at_;
      } else if (c == ',' || c == ':') {
        ++at_;
      } else {
        scalar();
      }
    } while (depth > 0);
  }
  /// To the value of the member of the object that begins here.
  bool member(std::string_view name) {
    if (!take('{')) return false;
    while (peek() == '"') {
      const std::string_view key = scalar();
      take(':');
      if (key.substr(1, key.size() - 2) == name) return true;
      skip();
      take(',');
    }
    return false;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

double json_number(std::string_view number, Rounding rounding) {
  if (rounding == Rounding::kSerde) return serde_number(number);
  double value = 0;
  std::from_chars(number.data(), number.data() + number.size(), value);
  return value;
}

std::vector<std::string_view> unigram_score_texts(std::string_view json) {
  std::vector<std::string_view> scores;
  Walker walker(json);
  if (!walker.member("model") || !walker.member("vocab") || !walker.take('[')) return scores;
  while (walker.take('[')) {
    walker.skip();
    walker.take(',');
    scores.push_back(walker.scalar());
    if (!walker.take(']')) return scores;
    walker.take(',');
  }
  return scores;
}

std::vector<double> unigram_scores(std::string_view json, Rounding rounding) {
  std::vector<double> scores;
  for (const std::string_view number : unigram_score_texts(json)) scores.push_back(json_number(number, rounding));
  return scores;
}

}  // namespace qing::nn::text
