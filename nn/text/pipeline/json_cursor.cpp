#include <qing/nn/text/pipeline/json_cursor.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include <qing/nn/text/pipeline/aligned_text.h>
#include <qing/nn/utf8.h>

namespace qing::nn::text {
namespace {

namespace json = boost::json;

constexpr size_t kShown = 80;  // bytes of a value that a message shows

std::string shown(const json::value& value) {
  std::string text = json::serialize(value);
  if (text.size() <= kShown) return text;
  size_t end = kShown;
  while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

}  // namespace

void JsonCursor::fail(std::string_view what) const {
  throw DataError(place_.empty() ? fmt::format("{}: {}", file_, what) : fmt::format("{}: {}: {}", file_, place_, what));
}

const json::object& JsonCursor::object() const {
  if (!value_->is_object()) fail(shown(*value_) + " is not an object");
  return value_->get_object();
}

const json::array& JsonCursor::array() const {
  if (!value_->is_array()) fail(shown(*value_) + " is not an array");
  return value_->get_array();
}

std::optional<JsonCursor> JsonCursor::find(std::string_view name) const {
  const json::value* member = object().if_contains(name);
  if (member == nullptr) return std::nullopt;
  return JsonCursor(*member, file_, place_.empty() ? std::string(name) : fmt::format("{}.{}", place_, name));
}

JsonCursor JsonCursor::operator[](std::string_view name) const {
  auto member = find(name);
  if (!member) fail(fmt::format("{} is missing", name));
  return *member;
}

std::optional<JsonCursor> JsonCursor::present(std::string_view name) const {
  auto member = find(name);
  return member && !member->is_null() ? member : std::nullopt;
}

JsonCursor JsonCursor::item(size_t i) const {
  return JsonCursor(array().at(i), file_, fmt::format("{}[{}]", place_, i));
}

std::string JsonCursor::text() const {
  if (!value_->is_string()) fail(shown(*value_) + " is not a string");
  std::string text(value_->get_string());
  // An escape may spell half of a pair of surrogates.
  if (find_invalid_utf8(text)) fail("the string is not Unicode");
  return text;
}

bool JsonCursor::flag() const {
  if (!value_->is_bool()) fail(shown(*value_) + " is not true or false");
  return value_->get_bool();
}

bool JsonCursor::flag(std::string_view name, bool otherwise) const {
  const auto member = present(name);
  return member ? member->flag() : otherwise;
}

int64_t JsonCursor::integer(int64_t least, int64_t most) const {
  const bool fits = value_->is_int64() && value_->get_int64() >= least && value_->get_int64() <= most;
  if (!fits) fail(fmt::format("{} is not an integer from {} to {}", shown(*value_), least, most));
  return value_->get_int64();
}

char32_t JsonCursor::character() const {
  const std::string one = text();
  size_t at = 0;
  const char32_t c = one.empty() ? 0 : next_character(one, at);
  if (one.empty() || at != one.size()) fail(shown(*value_) + " is not one character");
  return c;
}

std::string JsonCursor::choice(std::initializer_list<std::string_view> choices) const {
  std::string chosen = text();
  if (std::find(choices.begin(), choices.end(), chosen) == choices.end()) {
    fail(fmt::format("{} is not supported; supported are {}", shown(*value_), fmt::join(choices, ", ")));
  }
  return chosen;
}

}  // namespace qing::nn::text
