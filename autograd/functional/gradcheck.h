// Checks gradients, and gradients of gradients, against central differences.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <qing/autograd/functional/functional.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct GradcheckOptions {
  double step = 1e-5;       ///< h of (f(x+h) − f(x−h)) / 2h, times max(1, |x|)
  double tolerance = 1e-6;  ///< of |analytic − numeric| / max(1, |analytic|, |numeric|)
  uint64_t seed = 1;        ///< of the cotangent
};

struct GradcheckResult {
  bool ok = true;
  double worst = 0;     ///< the largest relative error
  std::string message;  ///< names the worst input and element
};

/// Compares the gradients of L = Σ u∘f(inputs), u a random cotangent, with central differences. Checks every element of
/// every f64 input that requires a gradient. A plain sum would not do: outputs of softmax and norms have a constant
/// sum. `function` must give the same result for the same inputs. Writes inputs in place and restores them. Cost: two
/// evaluations per element.
GradcheckResult gradcheck(const TensorFunction& function, std::vector<Tensor> inputs,
                          const GradcheckOptions& options = {});

/// gradcheck of the function's gradients: of (inputs, u) ↦ d(Σ u∘f)/d(inputs), flattened, where u is an input too.
/// Finds wrong second derivatives, and ones that the backward does not record. AutogradError if an operation has none.
GradcheckResult gradgradcheck(const TensorFunction& function, std::vector<Tensor> inputs,
                              const GradcheckOptions& options = {});

}  // namespace qing
