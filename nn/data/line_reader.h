// Reads lines of a text of any size through a buffer of bounded size.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace qing::nn {

/// A source of bytes. It fills the span from its front and returns the number of bytes, 0 only at the end.
using ByteInput = std::function<size_t(std::span<char>)>;

/// Splits a text at '\n', skips leading byte order marks, and refuses lines that are too long or not UTF-8 (RFC 3629).
/// It holds at most the longest line allowed and one piece of the input. Not thread-safe.
class LineReader {
 public:
  /// `name` identifies the text in messages. It is usually a path.
  LineReader(std::string name, ByteInput input, size_t max_line_bytes);

  /// Returns the next line without its line feed (a carriage return before it stays), or nullopt at the end. The view
  /// is valid until the next call. DataError "name:line: what; remedy". Exceptions of `input` are passed on.
  std::optional<std::string_view> next();
  /// Whether no line is left. It may read ahead.
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
  size_t begin_ = 0;  // start of the next line in the buffer
  size_t line_ = 0;
  bool started_ = false, ended_ = false, terminated_ = false;
};

}  // namespace qing::nn
