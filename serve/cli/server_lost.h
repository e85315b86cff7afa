// The error of a command whose server does not answer any more.
#pragma once

#include <qing/tensor/errors.h>

namespace qing::serve::cli {

/// Nobody knows how the work ended, which is neither success nor failure: the exit code is 3.
class ServerLost : public IoError {
 public:
  using IoError::IoError;
};

}  // namespace qing::serve::cli
