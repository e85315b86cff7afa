// Notices at once when the process of another rank ends, so that no rank waits for one that is gone.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace qing::optim {

struct RankProcess {
  int rank = 0;
  int pid = 0;
  std::string host = {};     ///< for messages
  std::string machine = {};  ///< equal for processes that see each other's pids
};

/// This process.
RankProcess this_process(int rank);

/// A text without blanks around it for RankProcess, and back.
std::string to_text(const RankProcess& process);
RankProcess process_of(const std::string& text);

/// Watches processes on this machine with a thread.
class PeerWatch {
 public:
  /// Calls `gone` on the thread for the first of `processes` that ends. It ignores those of other machines, and this
  /// process.
  PeerWatch(const std::vector<RankProcess>& processes, int own_rank, std::function<void(const RankProcess&)> gone);
  ~PeerWatch();  ///< Stops watching.
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;

 private:
  void run() const;

  struct Watched {
    RankProcess process;
    int handle;  // readable once the process has ended
  };
  std::vector<Watched> watched_;
  std::function<void(const RankProcess&)> gone_;
  int stop_ = -1;  // an eventfd
  std::thread thread_;
};

}  // namespace qing::optim
