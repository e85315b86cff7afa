// Threads: OpenMP underneath. The default is the smaller of the CPUs this process may use (affinity and cgroup quota);
// QING_THREADS overrides it. Results of every kernel are bitwise equal for any number of threads.
#pragma once

#include <cstdint>
#include <functional>

namespace qing {

int num_threads();                  ///< That operations called from this thread may use.
void set_num_threads(int threads);  ///< For all threads; ValueError if < 1.

/// While it lives, operations called from this thread use at most so many threads: for programs that compute several
/// things at once. The innermost counts. ValueError if < 1.
class ThreadLimit {
 public:
  explicit ThreadLimit(int most);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int before_;
};

/// Calls body(begin, end) over disjoint ranges that cover [0, n), in parallel when n > grain. Ranges are multiples of
/// `grain` (but the last), so a body that treats each grain alike gives the same bits for any number of threads.
/// The first exception thrown by a body is rethrown here.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace qing
