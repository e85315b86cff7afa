#include "multipart.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/common/characters.h>
#include <qing/serve/http/message.h>

namespace qing::serve {
namespace {

constexpr std::string_view kLineBreak = "\r\n";
constexpr size_t kPaddingBytes = 128;  // blanks behind a boundary, which a gateway may add

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

using Parameters = std::vector<std::pair<std::string, std::string>>;

// The parameters behind the first ';' of a header (RFC 2045, 5.1), names in lower case. Nothing when they are
// malformed.
std::optional<Parameters> parameters_of(std::string_view text) {
  Parameters found;
  size_t at = std::min(text.find(';'), text.size());
  while (at < text.size()) {
    ++at;  // the ';'
    while (at < text.size() && is_blank(text[at])) ++at;
    if (at == text.size()) break;  // a ';' at the end
    const size_t equals = text.find('=', at);
    if (equals == text.npos) return std::nullopt;
    const std::string name = lower(trimmed(text.substr(at, equals - at)));
    if (name.empty() || !has_only(name, is_token)) return std::nullopt;
    std::string value;
    at = equals + 1;
    if (at < text.size() && text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        // A backslash escapes a quote or a backslash; browsers send other ones as they are.
        const bool escape = text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\');
        if (escape) ++at;
        value += text[at];
      }
      if (at == text.size()) return std::nullopt;
      ++at;
      while (at < text.size() && is_blank(text[at])) ++at;
      if (at < text.size() && text[at] != ';') return std::nullopt;
    } else {
      const size_t end = std::min(text.find(';', at), text.size());
      value = trimmed(text.substr(at, end - at));
      if (value.find_first_of("\" ") != value.npos) return std::nullopt;
      at = end;
    }
    for (const auto& [other, ignored] : found) {
      if (other == name) return std::nullopt;
    }
    found.emplace_back(name, std::move(value));
  }
  return found;
}

std::string_view type_of(std::string_view header) { return trimmed(header.substr(0, header.find(';'))); }

const std::string* find(const Parameters& parameters, std::string_view name) {
  const auto found =
      std::ranges::find(parameters, name, [](const auto& parameter) { return std::string_view(parameter.first); });
  return found == parameters.end() ? nullptr : &found->second;
}

// Clients write these three characters so in names (WHATWG HTML, "multipart/form-data encoding algorithm").
std::string without_escapes(std::string text) {
  for (const auto& [escape, character] : {std::pair("%22", '"'), std::pair("%0D", '\r'), std::pair("%0A", '\n')}) {
    for (size_t at = 0; (at = text.find(escape, at)) != text.npos; ++at) text.replace(at, 3, 1, character);
  }
  return text;
}

FormPart part_of(std::string_view disposition) {
  const auto parameters = parameters_of(disposition);
  if (!parameters || !same_name(type_of(disposition), "form-data")) {
    throw MultipartError("a part's Content-Disposition is malformed; send form-data; name=\"...\"");
  }
  const std::string* name = find(*parameters, "name");
  if (name == nullptr || name->empty())
    throw MultipartError("a part has no name; send Content-Disposition: form-data; name=\"...\"");
  FormPart part{without_escapes(*name), {}};
  // filename* is not used in forms (RFC 7578, 4.2).
  if (const std::string* filename = find(*parameters, "filename")) part.filename = without_escapes(*filename);
  return part;
}

FormPart read_head(std::string_view lines) {
  std::optional<FormPart> part;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find(kLineBreak));
    lines.remove_prefix(std::min(lines.size(), line.size() + kLineBreak.size()));
    const size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (colon == line.npos || name.empty() || !has_only(name, is_token) || std::ranges::any_of(line, is_control)) {
      throw MultipartError("a part has a malformed header; send Name: value on one line");
    }
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (same_name(name, "Content-Disposition")) {
      if (part) throw MultipartError("a part has two headers Content-Disposition; send one");
      part = part_of(value);
    } else if (same_name(name, "Content-Transfer-Encoding")) {
      const std::string coding = lower(value);
      if (coding != "7bit" && coding != "8bit" && coding != "binary") {
        throw MultipartError("a part has a Content-Transfer-Encoding; send its bytes as they are");
      }
    }
  }
  if (!part) throw MultipartError("a part has no Content-Disposition; send form-data; name=\"...\"");
  return *std::move(part);
}

}  // namespace

std::optional<std::string> MultipartParser::boundary_of(std::string_view content_type) {
  if (!same_name(type_of(content_type), "multipart/form-data")) return std::nullopt;
  const auto parameters = parameters_of(content_type);
  const std::string* boundary = parameters ? find(*parameters, "boundary") : nullptr;
  constexpr size_t kMost = 70;
  if (boundary == nullptr || boundary->empty() || boundary->size() > kMost || boundary->ends_with(' ') ||
      !has_only(*boundary, is_alphanumeric, "'()+_,-./:=? ")) {
    throw MultipartError("Content-Type: has no boundary of 1 to 70 characters (RFC 2046, 5.1.1)");
  }
  return *boundary;
}

// The first boundary may stand at the very beginning, as if a line break came before it.
MultipartParser::MultipartParser(const std::string& boundary, FormHandler& handler)
    : delimiter_("\r\n--" + boundary), handler_(handler), buffer_(kLineBreak) {}

void MultipartParser::feed(std::string_view bytes) {
  if (state_ == State::kEpilogue) return;
  buffer_.append(bytes);
  while (step()) {}
  buffer_.erase(0, std::exchange(at_, 0));
}

void MultipartParser::finish() const {
  if (state_ != State::kEpilogue) throw MultipartError("the form does not end with its boundary; send all of it");
}

// False when it needs more bytes.
bool MultipartParser::step() {
  switch (state_) {
    case State::kPreamble:
    case State::kData: return read_data();
    case State::kDelimiter: return read_delimiter();
    case State::kHeaders: return read_headers();
    default: at_ = buffer_.size(); return false;
  }
}

// Passes on what cannot be the beginning of a delimiter.
bool MultipartParser::read_data() {
  const size_t found = buffer_.find(delimiter_, at_);
  size_t end = found;
  if (found == buffer_.npos) {
    end = buffer_.size() - std::min(buffer_.size() - at_, delimiter_.size() - 1);
    end = std::min(buffer_.find('\r', end), buffer_.size());  // only a line break begins one
  }
  if (end > at_ && in_part_) handler_.part_data(rest().substr(0, end - at_));
  at_ = end;
  if (found == buffer_.npos) return false;
  state_ = State::kDelimiter;
  return true;
}

// A delimiter is next, as far as its first bytes tell.
bool MultipartParser::read_delimiter() {
  const std::string_view behind = rest().substr(delimiter_.size());
  if (behind.size() < kLineBreak.size()) return false;
  if (behind.starts_with("--")) {
    end_part();
    state_ = State::kEpilogue;
    return true;
  }
  const size_t padding = std::min(behind.find_first_not_of(" \t"), behind.size());
  if (behind.size() < padding + kLineBreak.size() && padding <= kPaddingBytes) return false;
  if (padding > kPaddingBytes || behind.substr(padding, kLineBreak.size()) != kLineBreak) {
    // A longer line, which only begins like the delimiter, is data.
    if (in_part_) handler_.part_data(kLineBreak);
    at_ += kLineBreak.size();
    state_ = in_part_ ? State::kData : State::kPreamble;
    return true;
  }
  end_part();
  at_ +=
      delimiter_.size() + padding;  // the line break stays, so that headers end at an empty line even if there are none
  state_ = State::kHeaders;
  return true;
}

bool MultipartParser::read_headers() {
  constexpr std::string_view kEmptyLine = "\r\n\r\n";
  const size_t end = rest().find(kEmptyLine);
  if (std::min(end, rest().size()) > kHeaderBytes) {
    throw MultipartError(fmt::format("the headers of a part exceed {} bytes; send a shorter name", kHeaderBytes));
  }
  if (end == buffer_.npos) return false;
  if (++parts_ > kParts) throw MultipartError(fmt::format("the form has more than {} parts; send fewer", kParts));
  const size_t begin = std::min(end, kLineBreak.size());
  handler_.begin_part(read_head(rest().substr(begin, end - begin)));
  in_part_ = true;
  at_ += end + kEmptyLine.size();
  state_ = State::kData;
  return true;
}

void MultipartParser::end_part() {
  if (std::exchange(in_part_, false)) handler_.end_part();
}

}  // namespace qing::serve
