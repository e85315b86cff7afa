// Samples of every differentiable operation, for tests of all operations. The samples of a family are in
// tests/autograd/samples/<family>.h. op_samples.cpp joins them and does not compile while an operation has none.
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
  /// f64 inputs, with requires_grad set where needed. They are the same at every call.
  Inputs (*inputs)();
  Tensor (*function)(const Inputs& in);
  double step = 1e-5;  ///< of the central differences; a linear function takes a large one as well
};

/// The name of a sample in GoogleTest's output.
inline void PrintTo(const OpSample& sample, std::ostream* out) { *out << sample.op << ", " << sample.what; }

const std::vector<OpSample>& op_samples();

}  // namespace qing::test
