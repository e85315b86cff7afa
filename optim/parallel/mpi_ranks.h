// Ranks that are processes, started by mpirun or srun. The MPI library is loaded at run time (mpi/mpi_plugin.h).
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include <qing/optim/parallel/communicator.h>
#include <qing/optim/parallel/launch.h>
#include <qing/optim/parallel/witness.h>

namespace qing::optim {

/// The ranks of an MPI job. A process makes one at most. Its fail() writes the reason to stderr and ends the processes
/// of all ranks. From its construction to close() it also watches the other ranks' processes on this machine: when one
/// ends, it says which, and ends this process within two seconds.
class MpiRanks : public Communicator {
 public:
  /// Starts MPI with the library of the launch, which lies in one of the folders. IoError that says what to do when it
  /// is in none or does not start, and for a launch without MPI.
  static std::unique_ptr<MpiRanks> join(const Launch& launch, std::span<const std::filesystem::path> folders);
  ~MpiRanks() override;

  /// "Open MPI v4.1.4".
  std::string library() const;
  /// Ends the processes of all ranks with this exit code. The caller has written the reason.
  [[noreturn]] void end_all(int code) const noexcept;
  void fail(const std::string& reason) noexcept override;
  /// Waits for all ranks and leaves MPI, as each rank must that ends without an error. Nothing can be exchanged
  /// afterwards.
  void close();

 private:
  struct Library;

  MpiRanks(int rank, int size, std::unique_ptr<Library> library, std::unique_ptr<Witness> witness);
  void transfer(std::span<const Outgoing> out, std::span<const Incoming> in) override;

  std::unique_ptr<Library> library_;
  std::unique_ptr<Witness> witness_;  // on the first rank of a machine
  int reporter_ = 0;                  // the pid of the witness of this machine
};

}  // namespace qing::optim
