// Optimizers: they hold parameters in groups and move them along the gradients that backward() left.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing::optim {

/// Parameters that share settings.
struct ParameterGroup {
  std::vector<Tensor> parameters;  ///< leaves that require gradients, contiguous f32 or f64
  double weight_decay = 0;
  double lr_scale = 1;  ///< times the optimizer's lr
};

/// Not thread-safe. A parameter without a gradient is left as it is.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual void step() = 0;  ///< Moves every parameter; bumps their versions.
  void zero_grad();
  void set_lr(double lr) { lr_ = lr; }
  double lr() const { return lr_; }
  std::vector<Tensor> parameters() const;

 protected:
  /// ValueError when a parameter requires no gradient or is not contiguous, or lr or a weight decay is negative.
  Optimizer(std::vector<ParameterGroup> groups, double lr);

  double lr_;
  std::vector<ParameterGroup> groups_;
};

struct SgdOptions {
  double lr = 0.01;
  double momentum = 0;
  double weight_decay = 0;  ///< added to the gradient (L2); a group's own comes on top
  bool nesterov = false;    ///< needs momentum > 0
};

/// θ ← θ − α·∇J, with momentum v ← μ·v + g, θ ← θ − α·v (Nesterov: θ ← θ − α·(g + μ·v)), as PyTorch counts it: the
/// first v is g. (Sutskever et al. 2013.)
class Sgd : public Optimizer {
 public:
  Sgd(std::vector<Tensor> parameters, SgdOptions options);
  Sgd(std::vector<ParameterGroup> groups, SgdOptions options);
  void step() override;

 private:
  SgdOptions options_;
  std::vector<Tensor> velocity_;  // undefined before a parameter's first step
};

struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;  ///< of parameters given without a group
};

/// Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019), in one pass over each parameter.
class AdamW : public Optimizer {
 public:
  AdamW(std::vector<Tensor> parameters, AdamWOptions options);
  AdamW(std::vector<ParameterGroup> groups, AdamWOptions options);
  void step() override;

 private:
  struct State {
    Tensor m, v;
    int64_t steps = 0;
  };
  AdamWOptions options_;
  std::vector<State> states_;
};

/// Scales all gradients so that their joint Euclidean norm is at most `max_norm` (Pascanu et al. 2013); returns the norm
/// before. ValueError unless max_norm > 0. A norm that is not finite leaves the gradients as they are.
double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm);

/// The share of the peak learning rate at `step` (from 0) of `total`: a linear rise over the first `warmup` steps, then
/// a linear fall to 0 at `total`.
double linear_warmup_decay(int64_t step, int64_t warmup, int64_t total);

}  // namespace qing::optim
