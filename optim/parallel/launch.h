// Whether a launcher such as mpirun started this process as one of several, by the variables that it sets.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace qing::optim {

enum class MpiLibrary {
  open_mpi,  ///< Open MPI's mpirun, or srun --mpi=pmix
  mpich,     ///< MPICH's mpirun, or srun --mpi=pmi2
  none,      ///< srun started several processes without MPI
};

struct Launch {
  int rank, size;
  MpiLibrary library;
  std::string sign;  ///< the variable that says so
};

/// The value of an environment variable, or null.
using Environment = std::function<const char*(const char* name)>;

/// Null if nothing says that a launcher started this process. Thread-safe while nobody changes the environment.
std::optional<Launch> launch(const Environment& environment);
std::optional<Launch> launch();

}  // namespace qing::optim
