// Lines of a text of any size, through a buffer of bounded size.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace qing::nn {

/// Where bytes come from: fills the span from its front and returns how many bytes there are, 0 at the end only.
using ByteInput = std::function<size_t(std::span<char>)>;

/// Splits a text at '\n', skips byte order marks in front, and refuses lines that are too long or no UTF-8 (RFC 3629).
/// Holds at most the longest line allowed and one piece of the input. Not thread-safe.
class LineReader {
 public:
  /// `name` stands for the text in messages, a path as a rule.
  LineReader(std::string name, ByteInput input, size_t max_line_bytes);

  /// The next line without its line feed (a carriage return before it stays), or nothing at the end. The view lasts
  /// until the next call. DataError "name:line: what; remedy"; what `input` throws passes through.
  std::optional<std::string_view> next();
  /// Whether no line is left; reads ahead to know.
  bool done();
  bool terminated() const { return terminated_; }  ///< Whether the last line ended with '\n'.
  size_t line() const { return line_; }            ///< Number of the last line, from 1; 0 before the first.

  /// Throws DataError "name:line: what".
  [[noreturn]] void fail(const std::string& what, size_t line) const;

 private:
  bool fill();
  void check(std::string_view line) const;

  std::string name_;
  ByteInput input_;
  size_t max_line_bytes_;
  std::string buffer_;
  size_t begin_ = 0;  // where the next line begins in the buffer
  size_t line_ = 0;
  bool started_ = false, ended_ = false, terminated_ = false;
};

}  // namespace qing::nn
