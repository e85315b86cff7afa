// Why a worker cannot do its task, as the job's owner is told.
#pragma once

#include <utility>

#include <qing/serve/jobs/training_job.h>
#include <qing/tensor/errors.h>

namespace qing::serve {

class TaskError : public Error {
 public:
  explicit TaskError(JobError why) : Error(why.message), why_(std::move(why)) {}
  const JobError& why() const { return why_; }

 private:
  JobError why_;
};

}  // namespace qing::serve
