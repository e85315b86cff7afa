// A JSON document, written from its first byte to its last.
#pragma once

#include <concepts>
#include <cstdint>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>

namespace qing::serve {

/// Writes one JSON value into a string. Members keep the order in which they are written. Boost.JSON escapes the texts,
/// which must be UTF-8. A float and a double get the shortest text that reads back as the same number of their own
/// type, and null where JSON has no such number. Boost.JSON would write a float as the double next to it. Not
/// thread-safe.
class JsonWriter {
 public:
  enum class Style {
    kCompact,  ///< {"a":1,"b":2}
    kSpaced,   ///< {"a": 1, "b": 2}
  };
  explicit JsonWriter(Style style = Style::kCompact) : spaced_(style == Style::kSpaced) {}

  JsonWriter& begin_object() { return begin('{', '}'); }
  JsonWriter& begin_array() { return begin('[', ']'); }
  /// Ends the innermost object or array. ValueError when none is open.
  JsonWriter& end();
  JsonWriter& key(std::string_view name);
  /// A text, a number, a boolean, or a list of these.
  template <class T> JsonWriter& value(const T& value) {
    if constexpr (std::convertible_to<const T&, std::string_view>) {
      return text(value);
    } else if constexpr (std::same_as<T, bool>) {
      return raw(value ? "true" : "false");
    } else if constexpr (std::signed_integral<T>) {
      return integer(value);
    } else if constexpr (std::unsigned_integral<T>) {
      return count(value);
    } else if constexpr (std::floating_point<T>) {
      return number(value);
    } else {
      static_assert(std::ranges::range<T>, "JsonWriter::value takes texts, numbers, booleans and lists of these");
      begin_array();
      for (const auto& element : value) this->value(element);
      return end();
    }
  }
  /// key(name), then value(v).
  template <class T> JsonWriter& member(std::string_view name, const T& v) { return key(name).value(v); }
  /// A value that is JSON already. It is not checked.
  JsonWriter& raw(std::string_view json);

  /// The document. ValueError while an object or an array is open. The writer is empty afterwards.
  std::string take();

 private:
  JsonWriter& begin(char open, char close);
  JsonWriter& text(std::string_view value);
  JsonWriter& integer(std::int64_t value);
  JsonWriter& count(std::uint64_t value);
  JsonWriter& number(float value);
  JsonWriter& number(double value);
  void separate();
  void append_quoted(std::string_view text);

  std::string out_;
  std::string open_;    // what closes the open objects and arrays, the innermost last
  bool comma_ = false;  // a comma stands before what comes next
  const bool spaced_;
};

}  // namespace qing::serve
