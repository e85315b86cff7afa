#include <qing/nn/data/line_reader.h>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr size_t kReadBytes = 1 << 16;
constexpr size_t kMarkBytes = 3;  // size of U+FEFF in UTF-8

}  // namespace

LineError::LineError(const std::string& name, size_t line, const std::string& reason)
    : DataError(fmt::format("{}:{}: {}", name, std::max<size_t>(line, 1), reason)),
      line_(std::max<size_t>(line, 1)),
      reason_(reason) {}

LineReader::LineReader(std::string name, ByteInput input, size_t max_line_bytes)
    : name_(std::move(name)), input_(std::move(input)), max_line_bytes_(max_line_bytes) {}

void LineReader::fail(const std::string& what, size_t line) const { throw LineError(name_, line, what); }

// Appends a piece of the input to the unread bytes. Returns false at the end of the input.
bool LineReader::fill() {
  if (ended_) return false;
  buffer_.erase(0, std::exchange(begin_, 0));
  const size_t before = buffer_.size();
  buffer_.resize(before + kReadBytes);
  size_t count = 0;
  try {
    count = input_(std::span(buffer_).subspan(before));
  } catch (...) {  // a caller may try again
    buffer_.resize(before);
    throw;
  }
  buffer_.resize(before + count);
  ended_ = count == 0;
  return !ended_;
}

// Moves past the end of a line that was refused for its length.
void LineReader::skip_rest() {
  for (;;) {
    const size_t end = buffer_.find('\n', begin_);
    begin_ = end == std::string::npos ? buffer_.size() : end + 1;
    if (end != std::string::npos || !fill()) break;
  }
  in_long_line_ = false;
}

bool LineReader::done() {
  if (in_long_line_) skip_rest();
  if (!started_) {
    for (size_t skipped = kMarkBytes; skipped == kMarkBytes; begin_ += skipped) {
      while (buffer_.size() - begin_ < kMarkBytes && fill()) {}
      const auto front = std::string_view(buffer_).substr(begin_, kMarkBytes);
      skipped = front.size() - without_byte_order_mark(front).size();
    }
    started_ = true;
  }
  return begin_ == buffer_.size() && !fill();
}

std::optional<std::string_view> LineReader::next() {
  if (done()) return std::nullopt;
  size_t length = 0;  // number of bytes already searched for the end of the line
  for (;;) {
    const size_t end = buffer_.find('\n', begin_ + length);
    terminated_ = end != std::string::npos;
    length = std::min(end, buffer_.size()) - begin_;
    if (length > max_line_bytes_) {
      in_long_line_ = true;
      fail(fmt::format("the line is longer than the limit of {} bytes; split the text", max_line_bytes_), ++line_);
    }
    if (terminated_ || !fill()) break;
  }
  ++line_;
  const std::string_view line(buffer_.data() + begin_, length);
  begin_ += length + (terminated_ ? 1 : 0);
  check(line);
  return line;
}

void LineReader::check(std::string_view line) const {
  if (line_ == 1 && (line.starts_with("\xFF\xFE") || line.starts_with("\xFE\xFF"))) {
    fail("the file is in UTF-16; save it as UTF-8", line_);
  }
  if (const auto at = find_invalid_utf8(line)) {
    fail(fmt::format("invalid UTF-8 at byte {} of the line; save the file as UTF-8, or name its encoding with the "
                     "option encoding",
                     *at),
         line_);
  }
}

}  // namespace qing::nn
