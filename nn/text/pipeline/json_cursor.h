// A place in a JSON file that is being read. Errors name the file, the place and the value.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include <qing/tensor/errors.h>

namespace qing::nn::text {

/// A reference; the value has to outlive it.
class JsonCursor {
 public:
  JsonCursor(const boost::json::value& value, std::string file, std::string place = {})
      : value_(&value), file_(std::move(file)), place_(std::move(place)) {}

  /// DataError "file: place: what".
  [[noreturn]] void fail(std::string_view what) const;
  /// Runs f and puts this place in front of the text of a DataError.
  template <class F> auto at_place(const F& f) const {
    try {
      return f();
    } catch (const DataError& error) {
      // An inner cursor has named its own place already.
      if (std::string_view(error.what()).starts_with(file_ + ": ")) throw;
      fail(error.what());
    }
  }

  const boost::json::value& value() const { return *value_; }
  bool is_null() const { return value_->is_null(); }
  /// The member, which may be null, or nothing if it is absent. DataError when this is no object.
  std::optional<JsonCursor> find(std::string_view name) const;
  /// The member. DataError if it is absent.
  JsonCursor operator[](std::string_view name) const;
  /// The member, or nothing if it is absent or null.
  std::optional<JsonCursor> present(std::string_view name) const;

  const boost::json::object& object() const;
  const boost::json::array& array() const;
  JsonCursor item(size_t i) const;
  std::string text() const;
  bool flag() const;
  bool flag(std::string_view name, bool otherwise) const;
  int64_t integer(int64_t least, int64_t most) const;
  char32_t character() const;
  /// The text, one of the choices.
  std::string choice(std::initializer_list<std::string_view> choices) const;

 private:
  const boost::json::value* value_;
  std::string file_, place_;
};

}  // namespace qing::nn::text
