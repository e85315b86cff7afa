#include <qing/optim/optimizer.h>
#include <qing/tensor/kernels/kernels.h>

#include <cmath>

namespace qing::optim {
namespace {

std::vector<ParameterGroup<AdamOptions>> decoupled(std::vector<ParameterGroup<AdamWOptions>> groups) {
  std::vector<ParameterGroup<AdamOptions>> result;
  for (auto& [parameters, o] : groups) {
    result.push_back({std::move(parameters),
                      {.lr = o.lr,
                       .beta1 = o.beta1,
                       .beta2 = o.beta2,
                       .eps = o.eps,
                       .weight_decay = o.weight_decay,
                       .amsgrad = o.amsgrad,
                       .maximize = o.maximize,
                       .decoupled_weight_decay = true,
                       .lazy = o.lazy}});
  }
  return result;
}

}  // namespace

Adam::Adam(const char* name, Groups groups)
    : GroupedOptimizer(name, {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}, std::move(groups)) {
  finish_groups();
}

AdamW::AdamW(std::vector<ParameterGroup<AdamWOptions>> groups) : Adam("AdamW", decoupled(std::move(groups))) {}

void Adam::visit_options(size_t group, OptionVisitor& visitor) {
  AdamOptions& o = options_[group];
  visitor.number("lr", o.lr);
  visitor.number("beta1", o.beta1);
  visitor.number("beta2", o.beta2);
  visitor.number("eps", o.eps);
  visitor.number("weight_decay", o.weight_decay);
  visitor.flag("amsgrad", o.amsgrad);
  visitor.flag("maximize", o.maximize);
  visitor.flag("decoupled_weight_decay", o.decoupled_weight_decay);
  visitor.flag("lazy", o.lazy);
}

void Adam::check_options(size_t group) const {
  const AdamOptions& o = options_[group];
  check_at_least("lr", o.lr, 0);
  check_share("beta1", o.beta1);
  check_share("beta2", o.beta2);
  check_at_least("eps", o.eps, 0);
  check_at_least("weight_decay", o.weight_decay, 0);
}

bool Adam::uses_slot(size_t group, size_t slot) const { return slot < 2 || options_[group].amsgrad; }

bool Adam::skips_zeros(size_t group) const { return options_[group].lazy; }

template <class T> void Adam::sweep(size_t group, const Piece<T>& p) const {
  const AdamOptions& o = options_[group];
  const auto t = static_cast<double>(p.step);
  const double c1 = 1 - std::pow(o.beta1, t), c2 = 1 - std::pow(o.beta2, t);
  const kernels::AdamStep<T> step{
      .size = static_cast<T>(o.lr / c1),
      .sign = static_cast<T>(o.maximize ? -p.scale : p.scale),
      .l2 = static_cast<T>(o.decoupled_weight_decay ? 0 : o.weight_decay),
      .keep = static_cast<T>(o.decoupled_weight_decay ? 1 - o.lr * o.weight_decay : 1),
      .beta1 = static_cast<T>(o.beta1),
      .one_minus_beta1 = static_cast<T>(1 - o.beta1),
      .beta2 = static_cast<T>(o.beta2),
      .one_minus_beta2 = static_cast<T>(1 - o.beta2),
      .inverse_root_c2 = static_cast<T>(1 / std::sqrt(c2)),
      .eps = static_cast<T>(o.eps),
  };
  kernels::kernels<T>().adam(p.n, p.w, p.g, p.slots[0], p.slots[1], p.slots[2], step);
}

}  // namespace qing::optim
