#include "json_writer.h"

#include <array>
#include <cmath>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <boost/json/serializer.hpp>

#include <qing/tensor/errors.h>

namespace qing::serve {

void JsonWriter::separate() {
  if (std::exchange(comma_, true)) out_ += spaced_ ? ", " : ",";
}

void JsonWriter::append_quoted(std::string_view text) {
  boost::json::serializer serializer;
  serializer.reset(boost::json::string_view(text.data(), text.size()));
  std::array<char, 256> buffer;
  while (!serializer.done()) {
    const auto part = serializer.read(buffer.data(), buffer.size());
    out_.append(part.data(), part.size());
  }
}

JsonWriter& JsonWriter::begin(char open, char close) {
  separate();
  out_ += open;
  open_ += close;
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::end() {
  if (open_.empty()) throw ValueError("JsonWriter::end: no object or array is open; begin one first");
  out_ += open_.back();
  open_.pop_back();
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_quoted(name);
  out_ += spaced_ ? ": " : ":";
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view value) {
  separate();
  append_quoted(value);
  return *this;
}

JsonWriter& JsonWriter::integer(std::int64_t value) {
  separate();
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}

JsonWriter& JsonWriter::count(std::uint64_t value) {
  separate();
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}

JsonWriter& JsonWriter::number(float value) {
  if (!std::isfinite(value)) return raw("null");
  separate();
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}

JsonWriter& JsonWriter::number(double value) {
  if (!std::isfinite(value)) return raw("null");
  separate();
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}

std::string JsonWriter::take() {
  if (!open_.empty()) throw ValueError("JsonWriter::take: an object or an array is open; end it first");
  comma_ = false;
  return std::exchange(out_, {});
}

}  // namespace qing::serve
