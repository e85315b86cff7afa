#include <qing/optim/optimizer.h>
#include <qing/tensor/kernels/kernels.h>

namespace qing::optim {

Lion::Lion(Groups groups) : GroupedOptimizer("Lion", {"exp_avg"}, std::move(groups)) { finish_groups(); }

void Lion::visit_options(size_t group, OptionVisitor& visitor) {
  LionOptions& o = options_[group];
  visitor.number("lr", o.lr);
  visitor.number("beta1", o.beta1);
  visitor.number("beta2", o.beta2);
  visitor.number("weight_decay", o.weight_decay);
  visitor.flag("maximize", o.maximize);
}

void Lion::check_options(size_t group) const {
  const LionOptions& o = options_[group];
  check_at_least("lr", o.lr, 0);
  check_share("beta1", o.beta1);
  check_share("beta2", o.beta2);
  check_at_least("weight_decay", o.weight_decay, 0);
}

template <class T> void Lion::sweep(size_t group, const Piece<T>& p) const {
  const LionOptions& o = options_[group];
  const kernels::LionStep<T> step{
      .lr = static_cast<T>(o.lr),
      .sign = static_cast<T>(o.maximize ? -p.scale : p.scale),
      .keep = static_cast<T>(1 - o.lr * o.weight_decay),
      .beta1 = static_cast<T>(o.beta1),
      .one_minus_beta1 = static_cast<T>(1 - o.beta1),
      .beta2 = static_cast<T>(o.beta2),
      .one_minus_beta2 = static_cast<T>(1 - o.beta2),
  };
  kernels::kernels<T>().lion(p.n, p.w, p.g, p.slots[0], step);
}

}  // namespace qing::optim
