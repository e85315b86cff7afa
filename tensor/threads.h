// Threads for computing. Every kernel gives the same bits for any number of threads. All functions are thread-safe.
//
// Each thread that computes in parallel has workers of its own (thread_team.h), which end with it. Waiting threads spin
// for a fraction of a millisecond and then sleep. They sleep at once while other processes take their cores. A program
// that embeds qing needs no settings for that. OMP_WAIT_POLICY=passive makes waiting threads sleep at once in any case,
// and active lets them spin for up to a second, which suits only a machine without other work.
//
// The number of threads comes from the first of these that is given:
//   1. set_num_threads(), or --threads of a command,
//   2. the environment variable QING_THREADS, a number from 1 to 1024 (ValueError at first use otherwise),
//   3. the environment variable OMP_NUM_THREADS, whose first number counts; a malformed one is ignored,
//   4. the smaller of the usable CPUs and the CPU quota of the process's cgroups, rounded up.
// The usable CPUs are those of OpenMP's places if OMP_PLACES, OMP_PROC_BIND or GOMP_CPU_AFFINITY is set. Otherwise they
// are the affinity mask of the first thread that asks. OMP_THREAD_LIMIT bounds 3 and 4. The environment is read once,
// at the first use.
//
// fork(): the child can compute, on as many threads as its parent. The forking thread's workers end before the
// fork, and both processes start new ones when they need them. A child forked inside a body of parallel_for must call
// exec or _exit. Objects with their own threads (nn::DataLoader with workers, serve::Server) stay in the parent.
#pragma once

#include <cstdint>
#include <functional>
#include <thread>

namespace qing {

int num_threads();                  ///< The most threads that operations called from this thread may use.
void set_num_threads(int threads);  ///< For all threads; ValueError if < 1.

/// Starts a thread that runs body() and may use all usable CPUs (item 4 above). A std::thread inherits the affinity
/// mask of the thread that starts it, and OpenMP binds the main thread to one place when it has places.
/// std::system_error when the system has no thread left; an exception that leaves body ends the program.
std::thread start_thread(std::function<void()> body);

/// While it lives, operations called from this thread use at most this many threads: for programs that compute several
/// things at once. The innermost limit counts. ValueError if < 1.
class ThreadLimit {
 public:
  explicit ThreadLimit(int most);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int before_;
};

/// Products with fewer multiplications than this run on one thread: waking another one costs more than it saves.
inline constexpr int64_t kParallelWork = 1 << 18;

/// Calls body(begin, end) for disjoint ranges that cover [0, n), in parallel if n > grain. Ranges are multiples of
/// `grain`, except the last. So a body that treats every grain alike gives the same bits for any number of threads. The
/// calling thread also computes ranges that no other thread has begun, so that a thread without a core delays nothing.
/// Rethrows the first exception of a body. Inside a body, and in a parallel region of OpenMP, it uses one thread.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace qing
