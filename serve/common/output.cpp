#include <qing/serve/common/output.h>

#include <fmt/format.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include <qing/serve/common/json_text.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

[[noreturn]] void fail() {
  throw IoError(fmt::format("stdout: cannot write: {}; is the disk full or the reader gone?", std::strerror(errno)));
}

}  // namespace

void print_line(std::string_view line) {
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fputc('\n', stdout) == EOF) fail();
}

void flush_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) fail();
}

std::string json_number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : "null"; }

std::string json_float(float value) { return std::isfinite(value) ? fmt::format("{:.9g}", value) : "null"; }

JsonObject& JsonObject::text(std::string_view key, std::string_view value) { return raw(key, json_quoted(value)); }

JsonObject& JsonObject::raw(std::string_view key, std::string_view json) {
  if (!members_.empty()) members_ += ", ";
  members_ += json_quoted(key);
  members_ += ": ";
  members_ += json;
  return *this;
}

}  // namespace qing::serve::cli
