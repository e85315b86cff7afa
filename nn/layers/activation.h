// Activations as modules, for use in a Sequential. Each applies the operation of the same name.
#pragma once

#include <cstdint>

#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/softmax.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// A module without parameters that applies one operation.
template <Tensor (*Operation)(const Tensor&)> class Activation : public UnaryModule {
  Tensor compute(const Tensor& x, Generator*) const override { return Operation(x); }
};

class ReLU final : public Activation<&relu> {};
class GELU final : public Activation<&gelu> {};
class Tanh final : public Activation<&tanh> {};
class Sigmoid final : public Activation<&sigmoid> {};
class SiLU final : public Activation<&silu> {};
class Mish final : public Activation<&mish> {};
class ReLU6 final : public Activation<&relu6> {};
class SELU final : public Activation<&selu> {};
class Softsign final : public Activation<&softsign> {};
class Hardswish final : public Activation<&hardswish> {};
class Hardsigmoid final : public Activation<&hardsigmoid> {};
class LogSigmoid final : public Activation<&log_sigmoid> {};

class LeakyReLU final : public UnaryModule {
 public:
  explicit LeakyReLU(double negative_slope = 0.01) : negative_slope_(negative_slope) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return leaky_relu(x, negative_slope_); }
  double negative_slope_;
};

class ELU final : public UnaryModule {
 public:
  explicit ELU(double alpha = 1) : alpha_(alpha) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return elu(x, alpha_); }
  double alpha_;
};

class Softmax final : public UnaryModule {
 public:
  explicit Softmax(int64_t dim = -1) : dim_(dim) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return softmax(x, dim_); }
  int64_t dim_;
};

class LogSoftmax final : public UnaryModule {
 public:
  explicit LogSoftmax(int64_t dim = -1) : dim_(dim) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return log_softmax(x, dim_); }
  int64_t dim_;
};

}  // namespace qing::nn
