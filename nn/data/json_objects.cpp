#include <qing/nn/data/json_objects.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include <qing/nn/text/normalizer.h>
#include <qing/nn/unique_keys.h>
#include <qing/nn/utf8.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

constexpr size_t kPieceBytes = 1 << 16;
constexpr std::string_view kBlanks = " \t\r\n";

// The value as an object, or the reason why it is none.
std::string object_fault(std::string_view text, const json::value& value, std::string_view place) {
  if (!value.is_object()) {
    return fmt::format("not a JSON object; each {} is one, e.g. {{\"label\": ..., \"text\": ...}}", place);
  }
  if (!repeats_a_key(text, value)) return {};
  return fmt::format("the name '{}' appears twice in one object; remove one", duplicate_key(text).value_or(""));
}

// The elements of one array, found by the brackets and quotes around them.
class ArrayScanner {
 public:
  ArrayScanner(std::string name, ByteInput input, size_t max_bytes)
      : name_(std::move(name)), input_(std::move(input)), max_bytes_(max_bytes) {}

  // Whether '[' comes first, as far as the first piece of the input tells. Takes nothing.
  bool begins_with_bracket() {
    peek();
    const size_t first = buffer_.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
    return first != std::string::npos && buffer_[first] == '[';
  }
  // What was read so far, and then the rest of the input. The scanner is used no more.
  ByteInput rest() {
    return [before = buffer_.substr(begin_), at = size_t{0}, input = input_](std::span<char> into) mutable {
      const size_t count = std::min(into.size(), before.size() - at);
      if (count == 0) return input(into);
      std::memcpy(into.data(), before.data() + at, count);
      at += count;
      return count;
    };
  }

  std::optional<json::object> next() {
    if (ended_) return std::nullopt;
    if (!inside_) skip_marks();
    if (int c = skip_blanks(); c == '[' && !inside_) {
      take();
      inside_ = true;
      if (skip_blanks() == ']') return end();
    } else if (inside_ && c == ']') {
      return end();
    } else if (c == ',' && inside_) {
      take();
      if (c = skip_blanks(); c == ']' || c == ',') stop("a comma without an object behind it; remove it");
    } else {
      stop(c < 0 ? "the list never ends; write or download the file again" : "no comma between two objects; add it");
    }
    shares_line_ = objects_++ > 0 && object_line_ == line_;
    object_line_ = line_;
    element_ = take_element();
    return parsed(element_);
  }
  std::string_view text() const { return element_; }
  size_t line() const { return object_line_; }
  // Many programs write a list as one line, which would not tell its objects apart.
  [[noreturn]] void fail(const std::string& what) const {
    throw LineError(name_, object_line_,
                    shares_line_ ? fmt::format("object {} of the list: {}", objects_, what) : what);
  }

 private:
  // What is wrong with the list itself ends it.
  [[noreturn]] void stop(const std::string& what) {
    ended_ = true;
    object_line_ = line_;
    shares_line_ = false;
    fail(what);
  }
  std::optional<json::object> end() {
    take();
    ended_ = true;
    if (skip_blanks() >= 0) stop("there is text behind the list; remove it");
    return std::nullopt;
  }
  int peek() {
    if (begin_ == buffer_.size()) {
      buffer_.resize(kPieceBytes);
      begin_ = 0;
      buffer_.resize(input_(buffer_));
    }
    return buffer_.empty() ? -1 : static_cast<unsigned char>(buffer_[begin_]);
  }
  char take() {
    const char c = buffer_[begin_++];
    line_ += c == '\n' ? 1 : 0;
    return c;
  }
  void skip_marks() {
    constexpr std::string_view kMark = "\xEF\xBB\xBF";
    if (peek() < 0) return;
    while (std::string_view(buffer_).substr(begin_).starts_with(kMark)) begin_ += kMark.size();
  }
  int skip_blanks() {
    int c = peek();
    while (c >= 0 && kBlanks.find(static_cast<char>(c)) != kBlanks.npos) {
      take();
      c = peek();
    }
    return c;
  }
  // The text of one element; only its first bytes when it is too long.
  std::string take_element() {
    std::string element;
    size_t depth = 0;
    bool quoted = false, escaped = false;
    for (;;) {
      const int c = peek();
      if (c < 0) stop("the list never ends; write or download the file again");
      if (!quoted && depth == 0 && (c == ',' || c == ']')) break;
      if (element.size() <= max_bytes_) element += static_cast<char>(c);
      take();
      if (quoted) {
        quoted = escaped || c != '"';
        escaped = !escaped && c == '\\';
        continue;
      }
      if (c == '"') quoted = true;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && depth > 0) --depth;
    }
    return element;
  }
  json::object parsed(const std::string& element) const {
    if (element.size() > max_bytes_) {
      fail(fmt::format("the object is longer than the limit of {} bytes; split the text", max_bytes_));
    }
    boost::system::error_code error;
    json::value value = json::parse(element, error);
    if (error) fail("not JSON: " + error.message());
    if (const std::string fault = object_fault(element, value, "element of the list"); !fault.empty()) fail(fault);
    return std::move(value.get_object());
  }

  std::string name_;
  ByteInput input_;
  size_t max_bytes_;
  std::string buffer_, element_;
  size_t begin_ = 0, line_ = 1, object_line_ = 1;
  size_t objects_ = 0;  // that have begun
  bool inside_ = false, ended_ = false;
  bool shares_line_ = false;  // the last object begins on the line where the one before began
};

}  // namespace

namespace {

// The object on the next line that is not blank, with its text.
std::optional<json::object> object_of_line(LineReader& lines, std::string_view& text) {
  std::optional<std::string_view> line;
  do {
    line = lines.next();
    if (!line) return std::nullopt;
  } while (line->find_first_not_of(" \t\r") == std::string_view::npos);
  boost::system::error_code error;
  json::value value = json::parse(*line, error);
  if (error) lines.fail("not JSON: " + error.message(), lines.line());
  if (const std::string fault = object_fault(*line, value, "line"); !fault.empty()) lines.fail(fault, lines.line());
  text = *line;
  return std::move(value.get_object());
}

}  // namespace

std::optional<json::object> next_json_object(LineReader& lines) {
  std::string_view text;
  return object_of_line(lines, text);
}

namespace {

// The value at a path with dots. Nothing where it leads nowhere.
const json::value* value_at(const json::object& object, std::string_view path) {
  if (path.find('.') == path.npos) return nullptr;
  const json::object* inside = &object;
  const json::array* list = nullptr;
  const json::value* found = nullptr;
  while (!path.empty()) {
    const size_t end = std::min(path.find('.'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    found = nullptr;
    if (inside != nullptr) found = inside->if_contains(part);
    size_t index = 0;
    if (list != nullptr &&
        std::from_chars(part.data(), part.data() + part.size(), index).ptr == part.data() + part.size() &&
        !part.empty()) {
      found = list->if_contains(index);
    }
    if (found == nullptr) return nullptr;
    inside = found->if_object();
    list = found->if_array();
  }
  return found;
}

}  // namespace

bool same_letters(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::pair<std::string, const json::value*> find_field(const json::object& object, const std::string& name,
                                                      std::span<const std::string> others) {
  if (const json::value* found = object.if_contains(name)) return {name, found};
  if (const json::value* found = value_at(object, name)) return {name, found};
  for (const std::string& other : others) {
    for (const auto& member : object) {
      if (member.value().is_string() && same_letters(member.key(), other)) return {member.key(), &member.value()};
    }
  }
  return {name, nullptr};
}

std::string no_field(const json::object& object, const std::string& name) {
  std::vector<std::string> shown;
  for (const auto& member : object) shown.push_back(fmt::format("'{}'", visible(member.key())));
  return fmt::format("no field '{}' in the object, which has: {}; rename the field that holds it, or move it there",
                     name, fmt::join(shown, ", "));
}

struct JsonObjectReader::Impl {
  Impl(std::string name, Layout layout, ByteInput input, size_t max_bytes) {
    if (layout == Layout::kDetect) {
      ArrayScanner scanner(name, std::move(input), max_bytes);
      if (scanner.begins_with_bracket()) {
        array.emplace(std::move(scanner));
        return;
      }
      input = scanner.rest();
    }
    lines.emplace(std::move(name), std::move(input), max_bytes);
  }
  std::optional<LineReader> lines;  // one of the two
  std::optional<ArrayScanner> array;
  std::optional<json::object> object;  // the last one
  std::string_view line;               // its text, if it has a line of its own
};

JsonObjectReader::JsonObjectReader(std::string name, Layout layout, ByteInput input, size_t max_bytes)
    : impl_(std::make_shared<Impl>(std::move(name), layout, std::move(input), max_bytes)) {}

const json::object* JsonObjectReader::next() {
  impl_->object.reset();
  impl_->object = impl_->array ? impl_->array->next() : object_of_line(*impl_->lines, impl_->line);
  return impl_->object ? &*impl_->object : nullptr;
}

std::string_view JsonObjectReader::text() const { return impl_->array ? impl_->array->text() : impl_->line; }

size_t JsonObjectReader::line() const { return impl_->array ? impl_->array->line() : impl_->lines->line(); }

void JsonObjectReader::fail(const std::string& what) const {
  if (impl_->array) impl_->array->fail(what);
  impl_->lines->fail(what, impl_->lines->line());
}

}  // namespace qing::nn
