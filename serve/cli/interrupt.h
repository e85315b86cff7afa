// Ctrl-C while something runs that can end well.
#pragma once

#include <signal.h>

namespace qing::serve::cli {

/// While it lives, the first SIGINT or SIGTERM is remembered and answered with `notice` on stderr, and the second has
/// its usual effect. One at a time.
class InterruptGuard {
 public:
  explicit InterruptGuard(const char* notice);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  bool interrupted() const;

 private:
  struct sigaction old_interrupt_ {};
  struct sigaction old_terminate_ {};
};

}  // namespace qing::serve::cli
