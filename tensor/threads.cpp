#include <qing/tensor/threads.h>

#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <functional>
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
#include <qing/tensor/thread_team.h>

namespace qing {
namespace {

constexpr int kMaxThreads = 1024;

std::set<int> cpus_of_place(int place) {
  std::vector<int> ids(static_cast<size_t>(omp_get_place_num_procs(place)));
  omp_get_place_proc_ids(place, ids.data());
  return {ids.begin(), ids.end()};
}

// The CPUs of all places that OpenMP binds threads to; empty if it binds none.
std::set<int> cpus_of_places() {
  std::set<int> cpus;
  for (int place = 0; place < omp_get_num_places(); ++place) cpus.merge(cpus_of_place(place));
  return cpus;
}

// Lets the calling thread run on these CPUs; no CPU means all that it has. If the system refuses, it stays where it is.
void run_on(const std::set<int>& cpus) {
  if (cpus.empty()) return;
  const size_t bytes = CPU_ALLOC_SIZE(*cpus.rbegin() + 1);
  const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> mask(CPU_ALLOC(*cpus.rbegin() + 1),
                                                              [](cpu_set_t* set) { CPU_FREE(set); });
  if (mask == nullptr) return;
  CPU_ZERO_S(bytes, mask.get());
  for (const int cpu : cpus) CPU_SET_S(cpu, bytes, mask.get());
  sched_setaffinity(0, bytes, mask.get());
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

thread_local bool in_body = false;

// The team of each thread that computes in parallel. It ends with its thread.
struct OwnTeam {
  std::unique_ptr<ThreadTeam> team;
  ~OwnTeam();
};
thread_local bool team_is_over = false;
thread_local OwnTeam own_team;
OwnTeam::~OwnTeam() { team_is_over = true; }

// A child process has only the thread that forked: its team would wait forever for the others. So the team ends before
// the fork. The allocator's mutex is held over the fork, because another thread could hold it then and will not exist
// in the child. Ending threads free memory, so they must end before the mutex is taken.
void before_fork() {
  if (!team_is_over && !in_body) own_team.team.reset();
  lock_allocator();
}
[[maybe_unused]] const int fork_handlers = pthread_atfork(before_fork, unlock_allocator, unlock_allocator);

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
    run_on(cpus);
    body();
  });
}

ThreadLimit::ThreadLimit(int most) : before_(limit_here) {
  check_threads("ThreadLimit", most);
  limit_here = most;
}

ThreadLimit::~ThreadLimit() { limit_here = before_; }

namespace {

// OpenMP binds the main thread to a place. The workers of its team get the places behind that one. The workers of other
// threads, which start_thread() lets run on all places, do as these.
std::thread start_worker(int number, std::function<void()> work) {
  const int places = omp_get_num_places(), place = omp_get_place_num();
  if (places == 0 || place < 0 || getpid() != gettid()) return start_thread(std::move(work));
  return std::thread([cpus = cpus_of_place((place + number) % places), work = std::move(work)] {
    run_on(cpus);
    work();
  });
}

}  // namespace

void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (grain < 1) throw ValueError("parallel_for: grain " + std::to_string(grain) + " is below 1");
  if (n <= 0) return;
  const int64_t grains = n / grain + (n % grain != 0);
  const int threads = static_cast<int>(std::min<int64_t>(num_threads(), grains));
  if (threads == 1 || in_body || team_is_over || omp_in_parallel() != 0) {
    const FlushDenormals flush;
    body(0, n);
    return;
  }
  std::exception_ptr first;
  std::mutex mutex;
  const auto run_range = [&](int range) {
    const FlushDenormals flush;
    in_body = true;
    const int64_t begin = grains * range / threads * grain, end = std::min(n, grains * (range + 1) / threads * grain);
    try {
      body(begin, end);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (first == nullptr) first = std::current_exception();
    }
    in_body = false;
  };
  if (own_team.team == nullptr) own_team.team = std::make_unique<ThreadTeam>(start_worker);
  own_team.team->run(threads, std::ref(run_range));
  if (first != nullptr) std::rethrow_exception(first);
}

}  // namespace qing
