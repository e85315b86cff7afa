// The patterns of the stages Replace and Split: a literal text, or a regular expression in one of the few forms that
// encoders use. Matching takes linear time, so that no pattern in a file can hang a server.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/text/pipeline/unicode_properties.h>

namespace qing::nn::text {

/// Immutable; thread-safe.
class TextPattern {
 public:
  /// UTF-8; an empty literal matches nothing.
  static TextPattern literal(std::string_view text);
  /// One or more alternatives. Each is a text, or one character or class with a quantifier of at least 1, and may have
  /// "^" in front or "$" behind it: " {2,}", "\s+", "[\r\n]+", "^ ", "``|''". DataError for any other form.
  static TextPattern regex(std::string_view expression);

  /// Finds the first match [begin, end) at or after `from`, which is never empty. Returns whether there is one.
  bool find(std::u32string_view text, size_t from, size_t& begin, size_t& end) const;

 private:
  struct Range {
    char32_t first, last;
  };
  enum class Class { kSpace, kLetter, kNumber };
  // What one character of the text may be.
  struct Atom {
    std::vector<Range> ranges;
    std::vector<std::pair<Class, bool>> classes;  // true: what is not in the class
    bool negated = false;

    bool matches(char32_t c) const;
  };
  struct Alternative {
    bool line_begin = false, line_end = false;
    std::vector<Atom> atoms;  // the last may repeat
    size_t least = 1, most = 1;
  };
  friend class TextPatternParser;

  size_t match(const Alternative& alternative, std::u32string_view text, size_t at) const;

  std::vector<Alternative> alternatives_;
};

}  // namespace qing::nn::text
