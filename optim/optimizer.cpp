#include <qing/optim/optimizer.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <qing/autograd/autograd.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/elementwise.h>
#include <qing/tensor/ops/reduce.h>

namespace qing::optim {
namespace {

void check_positive(const char* what, double value, bool zero_allowed) {
  if (std::isfinite(value) && (value > 0 || (zero_allowed && value == 0))) return;
  throw ValueError(fmt::format("optimizer: {} is {}; it must be {}", what, value,
                               zero_allowed ? "at least 0" : "above 0"));
}

// Calls body(index, parameter, gradient, group) for every parameter that has a gradient.
template <class Body>
void for_each(const std::vector<ParameterGroup>& groups, Body body) {
  size_t index = 0;
  for (const ParameterGroup& group : groups) {
    for (const Tensor& parameter : group.parameters) {
      const Tensor gradient = grad(parameter);
      if (gradient.defined()) body(index, parameter, gradient, group);
      ++index;
    }
  }
}

}  // namespace

Optimizer::Optimizer(std::vector<ParameterGroup> groups, double lr) : lr_(lr), groups_(std::move(groups)) {
  check_positive("lr", lr, true);
  for (const ParameterGroup& group : groups_) {
    check_positive("weight_decay", group.weight_decay, true);
    for (const Tensor& parameter : group.parameters) {
      if (requires_grad(parameter) && is_leaf(parameter) && parameter.is_contiguous()) continue;
      throw ValueError(fmt::format("optimizer: a parameter of shape {} is not a contiguous leaf that requires a gradient; "
                                   "see set_requires_grad",
                                   to_string(parameter.shape())));
    }
  }
}

void Optimizer::zero_grad() {
  for (const Tensor& parameter : parameters()) qing::zero_grad(parameter);
}

std::vector<Tensor> Optimizer::parameters() const {
  std::vector<Tensor> all;
  for (const ParameterGroup& group : groups_) all.insert(all.end(), group.parameters.begin(), group.parameters.end());
  return all;
}

Sgd::Sgd(std::vector<Tensor> parameters, SgdOptions options)
    : Sgd(std::vector<ParameterGroup>{{std::move(parameters), 0, 1}}, options) {}

Sgd::Sgd(std::vector<ParameterGroup> groups, SgdOptions options)
    : Optimizer(std::move(groups), options.lr), options_(options) {
  check_positive("momentum", options.momentum, true);
  check_positive("weight_decay", options.weight_decay, true);
  if (options.nesterov && options.momentum == 0) throw ValueError("Sgd: nesterov needs a momentum above 0");
  velocity_.resize(this->parameters().size());
}

void Sgd::step() {
  for_each(groups_, [&](size_t index, Tensor parameter, const Tensor& gradient, const ParameterGroup& group) {
    dispatch_floating(parameter.dtype(), "Sgd", [&](auto zero) {
      using T = decltype(zero);
      T* w = parameter.data<T>();
      const T* g = gradient.data<T>();
      const T lr = static_cast<T>(lr_ * group.lr_scale), mu = static_cast<T>(options_.momentum);
      const T decay = static_cast<T>(options_.weight_decay + group.weight_decay);
      const bool nesterov = options_.nesterov, first = !velocity_[index].defined();
      if (mu != 0 && first) velocity_[index] = Tensor::empty(parameter.shape(), parameter.dtype());
      T* v = mu != 0 ? velocity_[index].data<T>() : nullptr;
      parallel_for(parameter.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const T slope = g[i] + decay * w[i];
          T direction = slope;
          if (v != nullptr) {
            v[i] = first ? slope : mu * v[i] + slope;
            direction = nesterov ? slope + mu * v[i] : v[i];
          }
          w[i] -= lr * direction;
        }
      });
    });
    parameter.bump_version();
  });
}

AdamW::AdamW(std::vector<Tensor> parameters, AdamWOptions options)
    : AdamW(std::vector<ParameterGroup>{{std::move(parameters), options.weight_decay, 1}}, options) {}

AdamW::AdamW(std::vector<ParameterGroup> groups, AdamWOptions options)
    : Optimizer(std::move(groups), options.lr), options_(options) {
  check_positive("eps", options.eps, false);
  for (const double beta : {options.beta1, options.beta2}) {
    if (!(beta >= 0 && beta < 1)) throw ValueError(fmt::format("AdamW: beta {} is outside [0, 1)", beta));
  }
  states_.resize(this->parameters().size());
}

void AdamW::step() {
  for_each(groups_, [&](size_t index, Tensor parameter, const Tensor& gradient, const ParameterGroup& group) {
    State& state = states_[index];
    if (!state.m.defined()) {
      state.m = Tensor::zeros(parameter.shape(), parameter.dtype());
      state.v = Tensor::zeros(parameter.shape(), parameter.dtype());
    }
    const auto t = static_cast<double>(++state.steps);
    const double c1 = 1 - std::pow(options_.beta1, t), c2 = 1 - std::pow(options_.beta2, t);
    dispatch_floating(parameter.dtype(), "AdamW", [&](auto zero) {
      using T = decltype(zero);
      T* w = parameter.data<T>();
      const T* g = gradient.data<T>();
      T* m = state.m.data<T>();
      T* v = state.v.data<T>();
      const T lr = static_cast<T>(lr_ * group.lr_scale);
      parallel_for(parameter.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
        kernels::kernels<T>().adamw(end - begin, w + begin, g + begin, m + begin, v + begin, lr,
                                    static_cast<T>(options_.beta1), static_cast<T>(options_.beta2),
                                    static_cast<T>(options_.eps), static_cast<T>(group.weight_decay),
                                    static_cast<T>(c1), static_cast<T>(c2));
      });
    });
    parameter.bump_version();
  });
}

double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm) {
  check_positive("max_norm", max_norm, false);
  double total = 0;
  for (const Tensor& parameter : parameters) {
    const Tensor gradient = grad(parameter);
    if (gradient.defined()) total += sum_of_squares(gradient);
  }
  const double norm = std::sqrt(total);
  if (!std::isfinite(norm) || norm <= max_norm) return norm;
  const double factor = max_norm / norm;
  for (const Tensor& parameter : parameters) {
    const Tensor gradient = grad(parameter);
    if (!gradient.defined()) continue;
    dispatch_floating(gradient.dtype(), "clip_grad_norm", [&](auto zero) {
      using T = decltype(zero);
      T* g = gradient.data<T>();
      parallel_for(gradient.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
        kernels::kernels<T>().scale(end - begin, static_cast<T>(factor), g + begin);
      });
    });
  }
  return norm;
}

double linear_warmup_decay(int64_t step, int64_t warmup, int64_t total) {
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (step >= total) return 0;
  return static_cast<double>(total - step) / static_cast<double>(std::max<int64_t>(1, total - warmup));
}

}  // namespace qing::optim
