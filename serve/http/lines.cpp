#include "lines.h"

#include <algorithm>

#include <qing/serve/common/characters.h>
#include <qing/serve/http/message.h>

namespace qing::serve {
namespace {

constexpr std::string_view kLineFeed = "a line ends in a line feed alone; end it in CR LF";
constexpr std::string_view kExtension = "a chunk extension is malformed; send chunks without extensions";

// Remove blanks or a token from the front of `text`. False if there is no token.
void skip_blanks(std::string_view& text) {
  text.remove_prefix(static_cast<size_t>(std::ranges::find_if_not(text, is_blank) - text.begin()));
}
bool skip_token(std::string_view& text) {
  const auto length = static_cast<size_t>(std::ranges::find_if_not(text, is_token) - text.begin());
  text.remove_prefix(length);
  return length > 0;
}

// Removes the quoted string from the front of `text`, which begins with a quote. False if the string does not end.
bool skip_quoted(std::string_view& text) {
  for (size_t at = 1; at < text.size(); ++at) {
    if (is_control(text[at])) return false;
    if (text[at] == '"') {
      text.remove_prefix(at + 1);
      return true;
    }
    if (text[at] == '\\' && (++at == text.size() || is_control(text[at]))) return false;
  }
  return false;
}

// Whether the line that ends before `end` is a field that determines the length of the message.
bool is_framing(std::string_view lines, size_t end) {
  const size_t before = end == 0 ? std::string_view::npos : lines.rfind('\n', end - 1);
  const std::string_view line = lines.substr(before == std::string_view::npos ? 0 : before + 1);
  const std::string_view name = line.substr(0, line.find_first_of(": \t\r\n"));
  return same_name(name, "Content-Length") || same_name(name, "Transfer-Encoding");
}

}  // namespace

HeaderLines::Look HeaderLines::look(std::string_view data) {
  const size_t from = searched_ - std::min<size_t>(searched_, 3), end = data.find("\r\n\r\n", from);
  searched_ = data.size();
  const std::string_view lines = data.substr(0, end == std::string_view::npos ? end : end + 4);
  for (size_t at = lines.find('\n', from); at != std::string_view::npos; at = lines.find('\n', at + 1)) {
    if (at == 0 || lines[at - 1] != '\r') return {false, kLineFeed};
    if (at + 1 == lines.size() || !is_blank(lines[at + 1])) continue;
    if (fold_ == Fold::kRefused || is_framing(lines, at)) {
      return {false, "a header is folded over lines; send it on one line"};
    }
  }
  return {end != std::string_view::npos, {}};
}

std::string_view chunk_extensions_fault(std::string_view text) {
  while (!text.empty()) {
    skip_blanks(text);
    if (!text.starts_with(';')) return kExtension;
    text.remove_prefix(1);
    skip_blanks(text);
    if (!skip_token(text)) return kExtension;
    std::string_view value = text;
    skip_blanks(value);
    if (!value.starts_with('=')) continue;
    value.remove_prefix(1);
    skip_blanks(value);
    if (!(value.starts_with('"') ? skip_quoted(value) : skip_token(value))) return kExtension;
    text = value;
  }
  return {};
}

HeaderLines::Look ChunkLine::look(std::string_view data) {
  constexpr std::string_view kLineEnd = "\r\n";
  if (!kLineEnd.substr(0, begin_).starts_with(data.substr(0, begin_))) {
    return {false, "a chunk is longer than its size says; send the size in bytes"};
  }
  // An invalid line is refused at once instead of waiting for its end.
  while (end_ == 0 && searched_ < data.size()) {
    const char c = data[searched_];
    if (c == '\r') {
      if (searched_ + 1 == data.size()) break;
      if (data[searched_ + 1] != '\n') return {false, "a chunk's line has a carriage return alone; end it in CR LF"};
      end_ = searched_;
      const std::string_view line = data.substr(begin_, end_ - begin_);
      const auto digits = static_cast<size_t>(std::ranges::find_if_not(line, is_hex) - line.begin());
      if (digits == 0) return {false, "a chunk's size is no hexadecimal number"};
      if (const auto fault = chunk_extensions_fault(line.substr(digits)); !fault.empty()) return {false, fault};
      last_ = line.find_first_not_of('0') >= digits;
    } else if (is_control(c)) {
      return {false, c == '\n' ? kLineFeed : "a chunk's line has a control character; send chunks without extensions"};
    } else {
      ++searched_;
    }
  }
  if (end_ == 0) return {};
  return last_ ? trailers_.look(data.substr(end_)) : HeaderLines::Look{true, {}};
}

}  // namespace qing::serve
