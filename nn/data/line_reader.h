// Reads lines of a text of any size through a buffer of bounded size.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <qing/tensor/errors.h>

namespace qing::nn {

/// A fault of one line, or of the record that begins there. what() is "name:line: reason".
class LineError : public DataError {
 public:
  LineError(const std::string& name, size_t line, const std::string& reason);
  size_t line() const { return line_; }  ///< From 1.
  const std::string& reason() const { return reason_; }

 private:
  size_t line_;
  std::string reason_;
};

/// A source of bytes. It fills the span from its front and returns the number of bytes, 0 only at the end.
using ByteInput = std::function<size_t(std::span<char>)>;

/// Splits a text at '\n', skips leading byte order marks, and refuses lines that are too long or not UTF-8 (RFC 3629).
/// It holds at most the longest line allowed and one piece of the input. Not thread-safe.
class LineReader {
 public:
  /// `name` identifies the text in messages. It is usually a path.
  LineReader(std::string name, ByteInput input, size_t max_line_bytes);

  /// Returns the next line without its line feed (a carriage return before it stays), or nullopt at the end. The view
  /// is valid until the next call. LineError "what; remedy", after which the next call continues with the line after
  /// the refused one. Exceptions of `input` are passed on.
  std::optional<std::string_view> next();
  /// Whether no line is left. It may read ahead.
  bool done();
  bool terminated() const { return terminated_; }  ///< Whether the last line ended with '\n'.
  size_t line() const { return line_; }            ///< Number of the last line, from 1; 0 before the first.

  /// Throws a LineError.
  [[noreturn]] void fail(const std::string& what, size_t line) const;

 private:
  bool fill();
  void skip_rest();
  void check(std::string_view line) const;

  std::string name_;
  ByteInput input_;
  size_t max_line_bytes_;
  std::string buffer_;
  size_t begin_ = 0;  // start of the next line in the buffer
  size_t line_ = 0;
  bool started_ = false, ended_ = false, terminated_ = false;
  bool in_long_line_ = false;  // the rest of a refused line is still to be skipped
};

}  // namespace qing::nn
