// Handling of Ctrl-C during work that can stop cleanly.
#pragma once

#include <signal.h>

namespace qing::serve::cli {

/// During its life, the first SIGINT or SIGTERM is recorded and prints `notice` to stderr. The second has its usual
/// effect. Only one may exist at a time.
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
