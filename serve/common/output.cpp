#include <qing/serve/common/output.h>

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

// A reader such as `head` that wants no more ends the command as it ends others: without a word.
[[noreturn]] void fail() {
  if (errno == EPIPE) {
    std::signal(SIGPIPE, SIG_DFL);
    std::raise(SIGPIPE);
  }
  throw IoError(fmt::format("stdout: cannot write: {}; is the disk full?", std::strerror(errno)));
}

}  // namespace

void print_line(std::string_view line) {
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fputc('\n', stdout) == EOF) fail();
}

void flush_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) fail();
}

}  // namespace qing::serve::cli
