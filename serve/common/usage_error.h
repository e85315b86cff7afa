// The error of a command that was called wrongly.
#pragma once

#include <qing/tensor/errors.h>

namespace qing::serve::cli {

/// Arguments that parse but do not fit together: exit code 2, as for those that do not parse.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace qing::serve::cli
