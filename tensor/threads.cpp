#include <qing/tensor/threads.h>

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <string>

#include <qing/tensor/denormals.h>
#include <qing/tensor/errors.h>

namespace qing {
namespace {

constexpr int kMaxThreads = 1024;

int cpus_of_affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return omp_get_num_procs();
  return std::max(1, CPU_COUNT(&set));
}

// The CPUs that the cgroup's quota amounts to, rounded up; kMaxThreads without one. cgroup v2, then v1.
int cpus_of_cgroup() {
  const auto cpus = [](double quota, double period) {
    if (!(quota > 0 && period > 0)) return kMaxThreads;
    return std::clamp(static_cast<int>(std::ceil(quota / period)), 1, kMaxThreads);
  };
  if (std::ifstream file("/sys/fs/cgroup/cpu.max"); file) {
    std::string quota;
    double period = 0;
    file >> quota >> period;
    return quota == "max" ? kMaxThreads : cpus(std::atof(quota.c_str()), period);
  }
  std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (quota_file >> quota && period_file >> period) return cpus(quota, period);
  return kMaxThreads;
}

int default_threads() {
  if (const char* text = std::getenv("QING_THREADS"); text != nullptr && *text != '\0') {
    char* end = nullptr;
    const long threads = std::strtol(text, &end, 10);
    if (*end != '\0' || threads < 1 || threads > kMaxThreads) {
      throw ValueError("QING_THREADS: '" + std::string(text) + "' is not a number from 1 to " +
                       std::to_string(kMaxThreads));
    }
    return static_cast<int>(threads);
  }
  return std::min(cpus_of_affinity(), cpus_of_cgroup());
}

// OpenMP's runtime is not compiled for ThreadSanitizer, which therefore does not see that a team starts after what came
// before it and ends before what comes after. These tell it; in other builds they are nothing.
#if defined(__SANITIZE_THREAD__)
std::atomic<int> team_order{0};
void release_team() { team_order.fetch_add(1, std::memory_order_release); }
void acquire_team() { team_order.load(std::memory_order_acquire); }
#else
void release_team() {}
void acquire_team() {}
#endif

std::atomic<int>& thread_count() {
  static std::atomic<int> count{default_threads()};
  return count;
}

void check_threads(const char* function, int threads) {
  if (threads >= 1 && threads <= kMaxThreads) return;
  throw ValueError(std::string(function) + ": " + std::to_string(threads) + " is outside [1, " +
                   std::to_string(kMaxThreads) + "]");
}

thread_local int limit_here = kMaxThreads;

}  // namespace

int num_threads() { return std::min<int>(thread_count(), limit_here); }

void set_num_threads(int threads) {
  check_threads("set_num_threads", threads);
  thread_count() = threads;
}

ThreadLimit::ThreadLimit(int most) : before_(limit_here) {
  check_threads("ThreadLimit", most);
  limit_here = most;
}

ThreadLimit::~ThreadLimit() { limit_here = before_; }

void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (grain < 1) throw ValueError("parallel_for: grain " + std::to_string(grain) + " is below 1");
  if (n <= 0) return;
  const int64_t grains = n / grain + (n % grain != 0);
  const int threads = static_cast<int>(std::min<int64_t>(num_threads(), grains));
  if (threads == 1 || omp_in_parallel() != 0) {
    const FlushDenormals flush;
    body(0, n);
    return;
  }
  std::exception_ptr first;
  std::mutex mutex;
  release_team();
#pragma omp parallel num_threads(threads)
  {
    acquire_team();
    const FlushDenormals flush;
    // The system may give fewer threads than asked for; each range is still a run of whole grains.
    const int64_t team = omp_get_num_threads(), rank = omp_get_thread_num();
    const int64_t begin = grains * rank / team * grain, end = std::min(n, grains * (rank + 1) / team * grain);
    try {
      if (begin < end) body(begin, end);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (first == nullptr) first = std::current_exception();
    }
    release_team();
  }
  acquire_team();
  if (first != nullptr) std::rethrow_exception(first);
}

}  // namespace qing
