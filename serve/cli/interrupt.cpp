#include <qing/serve/cli/interrupt.h>

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace qing::serve::cli {
namespace {

volatile sig_atomic_t signalled = 0;
const char* volatile message = "";

void remember(int) {
  const int saved = errno;
  signalled = 1;
  // Both signals are reset, because the second signal may be the other one. This precedes the notice, because a second
  // signal may follow the notice at once.
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  [[maybe_unused]] const ssize_t lost_is_no_harm = write(STDERR_FILENO, message, std::strlen(message));
  errno = saved;
}

}  // namespace

InterruptGuard::InterruptGuard(const char* notice) {
  signalled = 0;
  message = notice;
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &old_interrupt_);
  sigaction(SIGTERM, &action, &old_terminate_);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &old_interrupt_, nullptr);
  sigaction(SIGTERM, &old_terminate_, nullptr);
}

bool InterruptGuard::interrupted() const { return signalled != 0; }

}  // namespace qing::serve::cli
