// The error of a model that computes what is no number.
#pragma once

#include <qing/tensor/errors.h>

namespace qing::nn {

/// A result that is not finite: the fault is the model's, whose weights are to be checked, and not its input's.
class ModelError : public DataError {
 public:
  using DataError::DataError;
};

}  // namespace qing::nn
