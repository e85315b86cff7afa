// What the ranks of a training use to reach each other. A rank is one of several processes, or of several threads, that
// train one model together. Ranks are numbered from 0. MPI (mpi_ranks.h) connects processes, and ThreadRanks
// (thread_ranks.h) connects threads of one process. All collectives (collectives.h) are made of exchange().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace qing::optim {

struct Outgoing {
  int to;
  std::span<const std::byte> bytes;
};
struct Incoming {
  int from;
  std::span<std::byte> bytes;
};

/// One rank's end. One thread at a time may use it; it need not be the same thread each time.
class Communicator {
 public:
  Communicator(int rank, int size) : rank_(rank), size_(size) {}
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool is_first() const { return rank_ == 0; }

  /// Sends and receives messages. Returns when the received ones are there and the memory of the sent ones is free
  /// again. The messages from one rank to another arrive in the order in which they are sent, and each has the size
  /// that its receiver expects. A rank sends nothing to itself. IoError that names the rank when another rank has
  /// failed.
  void exchange(std::span<const Outgoing> out, std::span<const Incoming> in);

  /// Ends the training of all ranks, because this one cannot go on: an exchange of another rank ends with an IoError
  /// that has the reason, or the process of the other rank ends. It may not return.
  virtual void fail(const std::string& reason) noexcept = 0;

  /// Bytes that exchange() has sent. Any thread may ask.
  int64_t bytes_sent() const { return bytes_sent_; }

 private:
  virtual void transfer(std::span<const Outgoing> out, std::span<const Incoming> in) = 0;

  int rank_, size_;
  std::atomic<int64_t> bytes_sent_{0};
};

/// The only rank of a training by one process.
class SoleRank : public Communicator {
 public:
  SoleRank() : Communicator(0, 1) {}
  void fail(const std::string&) noexcept override {}

 private:
  void transfer(std::span<const Outgoing>, std::span<const Incoming>) override {}
};

}  // namespace qing::optim
