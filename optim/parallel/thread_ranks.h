// Ranks that are threads of one process: for tests, for learning, and for programs that train without MPI.
#pragma once

#include <functional>

#include <qing/optim/parallel/communicator.h>

namespace qing::optim {

/// Runs body(rank) on `size` threads, one for each rank, and returns when all have ended. A rank whose body throws
/// fails: the exchanges of the others end with an IoError. Rethrows the exception of the rank that failed first.
/// ValueError if size < 1.
void run_thread_ranks(int size, const std::function<void(Communicator& rank)>& body);

}  // namespace qing::optim
