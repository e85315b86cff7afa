// Says which rank ended first when the process of one is killed or crashes.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace qing::optim {

struct RankProcess {
  int rank = 0;
  int pid = 0;
  int witness = 0;           ///< the pid of its witness
  std::string host = {};     ///< for messages
  std::string machine = {};  ///< equal for processes that see each other's pids
};

/// This process. `witness` is 0.
RankProcess this_process(int rank);

/// A text for RankProcess, and back.
std::string to_text(const RankProcess& process);
RankProcess process_of(const std::string& text);

/// A process that waits for the first of the ranks' processes on its machine to end. It then says on stderr which one
/// it was, gives the launcher two seconds to end the others, and kills those that are left. It is a process of its own
/// because MPICH's launcher kills all ranks, and with them a thread that watches, before such a thread can write. The
/// kernel queues the ends in their order, so the line names the right rank on a busy machine too.
class Witness {
 public:
  /// Forks. Call it before MPI starts, which does not like forks. IoError.
  Witness();
  /// Ends the witness.
  ~Witness();
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  pid_t pid() const { return child_; }
  /// Makes the witness watch those processes that run on this machine.
  void watch(const std::vector<RankProcess>& processes);

 private:
  pid_t child_;
  int orders_;  // a pipe to the witness
};

}  // namespace qing::optim
