#include <qing/optim/parallel/thread_ranks.h>

#include <fmt/format.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

// The messages that are under way between threads.
class PostRoom {
 public:
  void send(int from, int to, std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    boxes_[{from, to}].emplace_back(bytes.begin(), bytes.end());
    arrived_.notify_all();
  }

  void receive(int from, int to, std::span<std::byte> bytes) {
    std::unique_lock lock(mutex_);
    std::deque<std::vector<std::byte>>& box = boxes_[{from, to}];
    arrived_.wait(lock, [&] { return !box.empty() || !failure_.empty(); });
    if (box.empty()) throw IoError(failure_);
    const std::vector<std::byte> message = std::move(box.front());
    box.pop_front();
    if (message.size() != bytes.size()) {
      throw ValueError(fmt::format("exchange: rank {} sent {} bytes to rank {}, which expects {}", from, message.size(),
                                   to, bytes.size()));
    }
    if (!message.empty()) std::memcpy(bytes.data(), message.data(), message.size());
  }

  // Returns whether this is the first failure.
  bool fail(std::string reason) {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) return false;
    failure_ = std::move(reason);
    arrived_.notify_all();
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> boxes_;
  std::string failure_;
};

class ThreadRank : public Communicator {
 public:
  ThreadRank(int rank, int size, PostRoom& room) : Communicator(rank, size), room_(room) {}
  void fail(const std::string& reason) noexcept override { failed_first_ |= room_.fail(reason_of(reason)); }
  bool failed_first() const { return failed_first_; }

 private:
  std::string reason_of(const std::string& reason) const { return fmt::format("rank {} failed: {}", rank(), reason); }
  void transfer(std::span<const Outgoing> out, std::span<const Incoming> in) override {
    for (const Outgoing& message : out) room_.send(rank(), message.to, message.bytes);
    for (const Incoming& message : in) room_.receive(message.from, rank(), message.bytes);
  }

  PostRoom& room_;
  bool failed_first_ = false;
};

}  // namespace

void run_thread_ranks(int size, const std::function<void(Communicator& rank)>& body) {
  if (size < 1) throw ValueError(fmt::format("run_thread_ranks: there are {} ranks; there must be at least 1", size));
  PostRoom room;
  std::exception_ptr first;  // written by the one rank that failed first
  const auto run = [&](int number) {
    ThreadRank rank(number, size, room);
    try {
      body(rank);
    } catch (const std::exception& error) {
      rank.fail(error.what());
      if (rank.failed_first()) first = std::current_exception();
    } catch (...) {
      rank.fail("an unknown exception");
      if (rank.failed_first()) first = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  try {
    for (int number = 1; number < size; ++number) threads.push_back(start_thread([&run, number] { run(number); }));
    run(0);
  } catch (...) {  // the system has no thread left
    if (room.fail("a thread could not be started")) first = std::current_exception();
  }
  for (std::thread& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace qing::optim
