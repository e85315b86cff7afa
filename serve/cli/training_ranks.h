// Training with several processes that mpirun or srun started.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <qing/optim/parallel/communicator.h>

namespace qing::serve::cli {

/// What the command's error lines begin with: "qing: error: ", or "qing: rank 2: error: " for one of several processes.
std::string error_prefix();

/// Calls body(ranks) once. `ranks` is null unless a launcher started this process. Of several processes, rank 0 says
/// what takes part, and an error of one ends all: its line has the number of its rank. `threads` is --threads; if it is
/// 0 and no variable says otherwise, processes that may use the same CPUs divide them. IoError when MPI cannot be
/// loaded.
void with_ranks(int64_t threads, const std::function<void(optim::Communicator* ranks)>& body);

/// What a rank does when it fails, before it ends all ranks: it is called within the handler of the error and returns
/// the exit code. Set it before with_ranks() is called. Without it the code is 1, or 2 for a UsageError.
void on_rank_failure(std::function<int()> settle);

}  // namespace qing::serve::cli
