// Samples of every differentiable operation, for tests that hold for all of them. A family's samples stand in
// tests/autograd/samples/<family>.h; op_samples.cpp joins them, and does not compile while an operation has none.
#pragma once

#include <ostream>
#include <string_view>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing::test {

using Inputs = std::vector<Tensor>;

struct OpSample {
  std::string_view op;  ///< a name of kOps
  std::string_view what;
  /// f64 inputs; those that require gradients are set so. The same at every call.
  Inputs (*inputs)();
  Tensor (*function)(const Inputs& in);
  double step = 1e-5;  ///< of the central differences; a linear function takes a large one as well
};

/// What GoogleTest prints a sample as.
inline void PrintTo(const OpSample& sample, std::ostream* out) { *out << sample.op << ", " << sample.what; }

const std::vector<OpSample>& op_samples();

}  // namespace qing::test
