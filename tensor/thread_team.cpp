#include <qing/tensor/thread_team.h>

#include <strings.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <system_error>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace qing {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr nanoseconds kPatience = std::chrono::microseconds(200), kActivePatience = std::chrono::seconds(1);
// Between two looks at the clock a spinning thread executes some instructions. A longer time was another process's.
constexpr nanoseconds kInterruption = std::chrono::microseconds(100);
constexpr nanoseconds kCalm = std::chrono::milliseconds(50);
constexpr int kPausesPerLook = 16;
constexpr uint64_t kOrderBase = uint64_t{2} * ThreadTeam::kMost;

std::atomic<int64_t> calm_until = 0;  // nanoseconds of the steady clock

void pause_core() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

bool is_policy(const char* text, const char* policy) { return text != nullptr && strcasecmp(text, policy) == 0; }

nanoseconds patience_of_environment() {
  const char* const text = std::getenv("OMP_WAIT_POLICY");
  if (is_policy(text, "passive")) return nanoseconds::zero();
  return is_policy(text, "active") ? kActivePatience : kPatience;
}

nanoseconds chosen_patience() {
  static const nanoseconds chosen = patience_of_environment();
  return chosen;
}

// How long a waiting thread spins now.
nanoseconds spin_patience() {
  const nanoseconds chosen = chosen_patience();
  if (chosen != kPatience) return chosen;
  const nanoseconds now = steady_clock::now().time_since_epoch();
  return now.count() < calm_until.load(std::memory_order_relaxed) ? nanoseconds::zero() : chosen;
}

// Waits until done() is true or the patience is over, without giving up the core. Returns done().
template <class Done> bool spin(Done done) {
  const nanoseconds patience = spin_patience();
  if (patience == nanoseconds::zero()) return done();
  const steady_clock::time_point begin = steady_clock::now();
  steady_clock::time_point last = begin;
  for (;;) {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (done()) return true;
      pause_core();
    }
    const steady_clock::time_point now = steady_clock::now();
    if (now - last > kInterruption) {
      calm_until.store((now.time_since_epoch() + kCalm).count(), std::memory_order_relaxed);
      if (patience == kPatience) return done();
    }
    if (now - begin > patience) return done();
    last = now;
  }
}

}  // namespace

// An order is a job's number times kOrderBase plus its ranges; 0 ends the worker.
struct alignas(64) ThreadTeam::Worker {
  std::atomic<uint64_t> order = 0;
  std::atomic<uint32_t> bell = 0;  // counts orders; what a sleeping worker waits for
  std::thread thread;

  void send(uint64_t new_order) {
    order.store(new_order);
    bell.fetch_add(1);
    bell.notify_one();
  }
};

ThreadTeam::ThreadTeam(Start start) : start_(std::move(start)) {}

ThreadTeam::~ThreadTeam() {
  for (const std::unique_ptr<Worker>& worker : workers_) worker->send(0);
  for (const std::unique_ptr<Worker>& worker : workers_) worker->thread.join();
}

void ThreadTeam::hire(int workers) {
  try {
    while (std::ssize(workers_) < workers) {
      auto worker = std::make_unique<Worker>();
      const int number = static_cast<int>(workers_.size()) + 1;
      worker->thread = start_(number, [this, &own = *worker, number] { work(own, number); });
      workers_.push_back(std::move(worker));
    }
  } catch (const std::system_error&) {
    // The system has no thread left: those that there are take all ranges.
  }
}

// The numbers of jobs grow. A late worker, which still has the number of a job that is over, gets no range of a newer
// one, since all ranges of its own job are claimed by that job or a later one.
bool ThreadTeam::claim(int range, uint64_t job) {
  std::atomic<uint64_t>& last = claimed_[static_cast<size_t>(range)];
  uint64_t before = last.load(std::memory_order_relaxed);
  while (before < job) {
    if (last.compare_exchange_weak(before, job, std::memory_order_acq_rel, std::memory_order_relaxed)) return true;
  }
  return false;
}

void ThreadTeam::finish() {
  if (unfinished_.fetch_sub(1) == 1) unfinished_.notify_one();
}

void ThreadTeam::work(Worker& own, int number) {
  for (uint32_t heard = 0;;) {
    const auto called = [&] { return own.bell.load(std::memory_order_acquire) != heard; };
    if (!spin(called)) own.bell.wait(heard, std::memory_order_acquire);
    heard = own.bell.load(std::memory_order_acquire);
    const uint64_t order = own.order.load(std::memory_order_acquire);
    if (order == 0) return;
    const int others = static_cast<int>(order % kOrderBase) - 1;
    for (int i = 0; i < others; ++i) {
      const int range = 1 + (number - 1 + i) % others;
      if (!claim(range, order / kOrderBase)) continue;
      (*body_)(range);
      finish();
    }
  }
}

void ThreadTeam::run(int ranges, const std::function<void(int)>& body) {
  hire(ranges - 1);
  body_ = &body;
  ++job_;
  unfinished_.store(ranges, std::memory_order_relaxed);
  const int helpers = std::min(ranges - 1, static_cast<int>(workers_.size()));
  for (int i = 0; i < helpers; ++i)
    workers_[static_cast<size_t>(i)]->send(job_ * kOrderBase + static_cast<uint64_t>(ranges));
  body(0);
  finish();
  for (int range = 1; range < ranges; ++range) {
    if (!claim(range, job_)) continue;
    body(range);
    finish();
  }
  const auto done = [this] { return unfinished_.load(std::memory_order_acquire) == 0; };
  if (spin(done)) return;
  for (int32_t left = unfinished_.load(); left != 0; left = unfinished_.load()) unfinished_.wait(left);
}

}  // namespace qing
