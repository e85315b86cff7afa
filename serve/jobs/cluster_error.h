// Errors of a cluster that trains the jobs of a server.
#pragma once

#include <string>

#include <qing/tensor/errors.h>

namespace qing::serve {

/// A cluster could not be asked, or refused what it was asked for.
class ClusterError : public IoError {
 public:
  ClusterError(const std::string& message, bool refused) : IoError(message), refused_(refused) {}
  /// Whether the cluster was reached and did not take a job. Else the next attempt may do better.
  bool refused() const { return refused_; }
  virtual const char* cluster() const = 0;  ///< "Slurm"
  virtual const char* code() const = 0;     ///< of a refused job's error: "slurm_refused"

 private:
  bool refused_;
};

}  // namespace qing::serve
