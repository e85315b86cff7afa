#include <qing/tensor/threads.h>

#include <omp.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <qing/tensor/allocator.h>
#include <qing/tensor/cpu_quota.h>
#include <qing/tensor/denormals.h>
#include <qing/tensor/errors.h>

namespace qing {
namespace {

constexpr int kMaxThreads = 1024;

// The CPUs of all places that OpenMP binds threads to; empty if it binds none.
std::set<int> cpus_of_places() {
  std::set<int> cpus;
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> ids(static_cast<size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, ids.data());
    cpus.insert(ids.begin(), ids.end());
  }
  return cpus;
}

int default_cpus() {
  const std::set<int> places = cpus_of_places();
  const int cpus = places.empty() ? std::max(1, omp_get_num_procs()) : static_cast<int>(places.size());
  return static_cast<int>(std::clamp(std::ceil(cgroup_cpu_quota()), 1.0, static_cast<double>(cpus)));
}

// The first number of OMP_NUM_THREADS, which has one number per level of nesting. OpenMP's runtime has already warned
// of a malformed value at program start.
std::optional<int> omp_num_threads() {
  const char* const text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr) return std::nullopt;
  char* end = nullptr;
  const long threads = std::strtol(text, &end, 10);
  while (*end == ' ' || *end == '\t') ++end;
  if (end == text || (*end != '\0' && *end != ',') || threads < 1) return std::nullopt;
  return static_cast<int>(std::min<long>(threads, kMaxThreads));
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
  const std::optional<int> wanted = omp_num_threads();
  return std::min({wanted ? *wanted : default_cpus(), omp_get_thread_limit(), kMaxThreads});
}

// OpenMP's runtime keeps a team's threads for the next team, but a child process has only the thread that forked: it
// would wait forever for the others. So the forking thread's team ends before the fork. The allocator's mutex is held
// over the fork, because another thread could hold it then and will not exist in the child. Ending threads free memory,
// so they must end before the mutex is taken.
void before_fork() {
  omp_pause_resource_all(omp_pause_soft);
  lock_allocator();
}
[[maybe_unused]] const int fork_handlers = pthread_atfork(before_fork, unlock_allocator, unlock_allocator);

// OpenMP's runtime is not compiled for ThreadSanitizer, which cannot see that a team starts after the code before it
// and ends before the code after it. These calls tell it; in other builds they do nothing.
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

std::thread start_thread(std::function<void()> body) {
  return std::thread([cpus = cpus_of_places(), body = std::move(body)] {
    if (!cpus.empty()) {
      const size_t bytes = CPU_ALLOC_SIZE(*cpus.rbegin() + 1);
      const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> mask(CPU_ALLOC(*cpus.rbegin() + 1),
                                                                  [](cpu_set_t* set) { CPU_FREE(set); });
      if (mask != nullptr) {
        CPU_ZERO_S(bytes, mask.get());
        for (const int cpu : cpus) CPU_SET_S(cpu, bytes, mask.get());
        // If the system refuses, the thread runs on its starter's CPUs.
        sched_setaffinity(0, bytes, mask.get());
      }
    }
    body();
  });
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
    // The system may give fewer threads than requested. Each range is still a run of whole grains.
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
