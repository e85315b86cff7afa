// JSON objects one after another, from JSON Lines or from one JSON array, in bounded memory.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <boost/json/fwd.hpp>

#include <qing/nn/data/line_reader.h>

namespace qing::nn {

/// The object on the next line that is not blank, or nothing at the end. LineError for a line that is not a JSON object
/// or repeats a name; the next call continues with the line after it.
std::optional<boost::json::object> next_json_object(LineReader& lines);

/// Whether the texts are equal but for the case of ASCII letters.
bool same_letters(std::string_view a, std::string_view b);

/// A field by its name, or by a path such as "data.text" or "turns.0.text" into objects and lists; or else the first of
/// `others` that holds a string, in either case; with the name that was found. Null when the object has none of them.
std::pair<std::string, const boost::json::value*> find_field(const boost::json::object& object, const std::string& name,
                                                             std::span<const std::string> others);

/// Says that the object lacks the field, and what to do.
std::string no_field(const boost::json::object& object, const std::string& name);

/// Reads objects with the line where each begins. Copies share their place in the input. Not thread-safe.
class JsonObjectReader {
 public:
  /// kLines: a line is an object. kDetect: an array of objects if '[' comes first, else lines.
  enum class Layout { kLines, kDetect };
  /// `name` identifies the input in messages. A longer object than `max_bytes` is refused, not truncated.
  JsonObjectReader(std::string name, Layout layout, ByteInput input, size_t max_bytes);

  /// Null at the end. The object is valid until the next call. LineError, after which the next call continues with the
  /// object after the refused one, or is at the end when that cannot be found.
  const boost::json::object* next();
  std::string_view text() const;  ///< The last object as the input has it.
  size_t line() const;            ///< Where the last object begins, from 1.
  /// Throws a LineError at the last object. It has the object's number, from 1, if the object of an array begins on the
  /// line of the one before.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace qing::nn
