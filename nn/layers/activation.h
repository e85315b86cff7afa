// Activations as modules, to stand in a Sequential. Each is the operation of the same name.
#pragma once

#include <cstdint>
#include <string>

#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/softmax.h>
#include <qing/nn/module.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>

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

/// x where x > 0, else weight·x (He et al. 2015). weight [parameters]: one for all elements, or one for each channel,
/// the second dimension (of one dimension: the first).
class PReLU final : public UnaryModule {
 public:
  /// ValueError unless parameters ≥ 1.
  explicit PReLU(int64_t parameters = 1, double init = 0.25) : weight_(Tensor::full({parameters}, init)) {
    if (parameters < 1)
      throw ValueError("PReLU: there are " + std::to_string(parameters) + " parameters; 1 are needed");
  }
  void visit(Visitor& visitor) override { visitor.parameter("weight", weight_); }

 private:
  /// ShapeError when x has another number of channels.
  Tensor compute(const Tensor& x, Generator*) const override {
    const int64_t channels = weight_.numel(), dim = x.dim() > 1 ? 1 : 0;
    if (channels == 1) return where(gt(x.alias(), 0), x, x * weight_);
    if (x.dim() == 0 || x.size(dim) != channels) {
      throw ShapeError("PReLU: x " + to_string(x.shape()) + " needs " + std::to_string(channels) +
                       " channels, its second dimension");
    }
    Shape shape(static_cast<size_t>(x.dim()), 1);
    shape[static_cast<size_t>(dim)] = channels;
    return where(gt(x.alias(), 0), x, x * weight_.reshape(shape));
  }
  Tensor weight_;
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
