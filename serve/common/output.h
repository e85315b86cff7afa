// Lines and JSON on stdout.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qing::serve::cli {

/// Writes the line and its end; IoError when stdout takes no more (a full disk, a closed pipe).
void print_line(std::string_view line);
/// To be called before a successful end, so that a lost line is a failure. IoError.
void flush_output();

/// The shortest text that reads back as the same double; null for what JSON has no number for.
std::string json_number(double value);
/// 9 significant digits: two floats print alike only if they are equal.
std::string json_float(float value);

/// Builds one JSON object, members in the order in which they are added.
class JsonObject {
 public:
  JsonObject& number(std::string_view key, double value) { return raw(key, json_number(value)); }
  JsonObject& integer(std::string_view key, int64_t value) { return raw(key, std::to_string(value)); }
  JsonObject& boolean(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
  JsonObject& text(std::string_view key, std::string_view value);
  JsonObject& raw(std::string_view key, std::string_view json);
  std::string str() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

}  // namespace qing::serve::cli
