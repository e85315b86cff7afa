#include <qing/nn/text/pipeline/text_pattern.h>

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include <qing/nn/text/pipeline/aligned_text.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

constexpr size_t kNoMatch = std::numeric_limits<size_t>::max();
constexpr size_t kMostRepeats = 1000;

}  // namespace

class TextPatternParser {
 public:
  using Atom = TextPattern::Atom;
  using Class = TextPattern::Class;

  explicit TextPatternParser(std::string_view expression) : expression_(expression) {
    for (size_t at = 0; at < expression.size();) text_.push_back(next_character(expression, at));
  }

  std::vector<TextPattern::Alternative> run() {
    std::vector<TextPattern::Alternative> alternatives;
    do alternatives.push_back(alternative());
    while (take('|'));
    if (at_ < text_.size()) fail();
    return alternatives;
  }

 private:
  [[noreturn]] void fail() const {
    throw DataError(
        fmt::format("the regular expression '{}' is not supported at character {}; supported are a text, or "
                    "one character or class with +, {{n}}, {{n,}} or {{n,m}}, with ^, $ and |",
                    expression_, at_));
  }
  bool at_end() const { return at_ == text_.size(); }
  bool peek(char32_t c) const { return !at_end() && text_[at_] == c; }
  bool take(char32_t c) {
    if (!peek(c)) return false;
    ++at_;
    return true;
  }

  TextPattern::Alternative alternative() {
    TextPattern::Alternative result;
    result.line_begin = take('^');
    bool repeated = false;
    while (!at_end() && !peek('|') && !peek('$')) {
      if (repeated) fail();
      result.atoms.push_back(atom());
      repeated = quantifier(result);
      if (repeated && result.atoms.size() > 1) fail();
    }
    result.line_end = take('$');
    if (result.atoms.empty()) fail();
    return result;
  }

  Atom atom() {
    Atom result;
    if (take('[')) {
      result.negated = take('^');
      while (!take(']')) {
        if (at_end() || peek('[') || peek('&')) fail();
        member(result, true);
      }
      if (result.ranges.empty() && result.classes.empty()) fail();
      return result;
    }
    if (std::u32string_view(U".*+?(){}").find(text_[at_]) != std::u32string_view::npos) fail();
    member(result, false);
    return result;
  }

  // A character, an escape or, inside brackets, a range. Outside of brackets "-" is a character like any other.
  void member(Atom& into, bool bracketed) {
    if (take('\\')) {
      if (at_end()) fail();
      const char32_t c = text_[at_++];
      if (c == 's' || c == 'S') {
        into.classes.emplace_back(Class::kSpace, c == 'S');
      } else if (c == 'p' || c == 'P') {
        const bool letter = text_.substr(at_, 3) == U"{L}";
        if (!letter && text_.substr(at_, 3) != U"{N}") fail();
        at_ += 3;
        into.classes.emplace_back(letter ? Class::kLetter : Class::kNumber, c == 'P');
      } else {
        const char32_t value = escaped(c);
        into.ranges.push_back({value, value});
      }
      return;
    }
    const char32_t first = text_[at_++];
    into.ranges.push_back({first, first});
    if (bracketed && at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
      ++at_;
      const char32_t last = text_[at_++];
      if (last == '\\' || last < first) fail();
      into.ranges.back().last = last;
    }
  }
  char32_t escaped(char32_t c) {
    switch (c) {
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      default: break;
    }
    const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alphanumeric || c >= 0x80) fail();
    return c;
  }

  bool quantifier(TextPattern::Alternative& result) {
    if (peek('*') || peek('?')) fail();  // could match nothing
    if (take('+')) {
      result.most = kNoMatch;
    } else if (take('{')) {
      result.least = number();
      result.most = result.least;
      if (take(',')) result.most = peek('}') ? kNoMatch : number();
      if (!take('}') || result.least < 1 || result.most < result.least) fail();
    } else {
      return false;
    }
    if (peek('+') || peek('?') || peek('*') || peek('{')) fail();  // possessive, lazy or twice
    return true;
  }
  size_t number() {
    size_t value = 0;
    const size_t begin = at_;
    while (!at_end() && text_[at_] >= '0' && text_[at_] <= '9' && value <= kMostRepeats)
      value = 10 * value + (text_[at_++] - '0');
    if (at_ == begin || value > kMostRepeats) fail();
    return value;
  }

  std::string_view expression_;
  std::u32string text_;
  size_t at_ = 0;
};

TextPattern TextPattern::literal(std::string_view text) {
  TextPattern pattern;
  Alternative alternative;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_character(text, at);
    alternative.atoms.push_back({.ranges = {{c, c}}, .classes = {}});
  }
  if (!alternative.atoms.empty()) pattern.alternatives_.push_back(std::move(alternative));
  return pattern;
}

TextPattern TextPattern::regex(std::string_view expression) {
  TextPattern pattern;
  pattern.alternatives_ = TextPatternParser(expression).run();
  return pattern;
}

bool TextPattern::Atom::matches(char32_t c) const {
  bool inside = std::any_of(ranges.begin(), ranges.end(), [c](const Range& r) { return c >= r.first && c <= r.last; });
  if (!inside && !classes.empty()) {
    const Properties p = PropertyTable::get()[c];
    inside = std::any_of(classes.begin(), classes.end(), [p](const auto& entry) {
      const auto& [kind, outside] = entry;
      const bool has = kind == Class::kSpace ? p.space() : kind == Class::kLetter ? p.letter() : p.number();
      return has != outside;
    });
  }
  return inside != negated;
}

// Where the alternative's match at text[at] ends, or kNoMatch. "^" and "$" stand for lines, as in Oniguruma's syntax.
size_t TextPattern::match(const Alternative& alternative, std::u32string_view text, size_t at) const {
  if (alternative.line_begin && at > 0 && text[at - 1] != '\n') return kNoMatch;
  const size_t fixed = alternative.atoms.size() - 1;
  for (size_t i = 0; i < fixed; ++i, ++at) {
    if (at == text.size() || !alternative.atoms[i].matches(text[at])) return kNoMatch;
  }
  size_t end = at;
  while (end < text.size() && end - at < alternative.most && alternative.atoms.back().matches(text[end])) ++end;
  if (end - at < alternative.least) return kNoMatch;
  if (!alternative.line_end) return end;
  for (; end >= at + alternative.least; --end) {
    if (end == text.size() || text[end] == '\n') return end;
  }
  return kNoMatch;
}

bool TextPattern::find(std::u32string_view text, size_t from, size_t& begin, size_t& end) const {
  for (size_t at = from; at < text.size(); ++at) {
    for (const Alternative& alternative : alternatives_) {
      const size_t stop = match(alternative, text, at);
      if (stop == kNoMatch) continue;
      begin = at;
      end = stop;
      return true;
    }
  }
  return false;
}

}  // namespace qing::nn::text
