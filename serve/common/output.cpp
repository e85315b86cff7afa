#include <qing/serve/common/output.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

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

}  // namespace qing::serve::cli
