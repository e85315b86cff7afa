// Samples of every differentiable operation, for tests that hold for all of them.
#pragma once

#include <functional>
#include <ostream>
#include <string_view>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing::test {

struct OpSample {
  std::string_view op;  ///< a name of kOpNames
  std::string_view what;
  /// f64 inputs; those that require gradients are set so.
  std::function<std::vector<Tensor>()> inputs;
  std::function<Tensor(const std::vector<Tensor>&)> function;
};

/// What GoogleTest prints a sample as.
inline void PrintTo(const OpSample& sample, std::ostream* out) { *out << sample.op << ", " << sample.what; }

const std::vector<OpSample>& op_samples();

}  // namespace qing::test
