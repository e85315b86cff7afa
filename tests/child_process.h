// A child process of a test.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

namespace qing::test {

constexpr int kChildThrew = 99;

/// Runs `body` in a child process, which never goes on as a second copy of the tests. Returns its exit code: 0 when
/// `body` returns, kChildThrew when it throws, -1 when there was no child or a signal ended it.
template <class Body> int code_of_child(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 0;
    try {
      body();
    } catch (...) { code = kChildThrew; }
    ::_exit(code);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace qing::test
