#include <qing/optim/optimizer.h>
#include <qing/tensor/kernels/kernels.h>

namespace qing::optim {

RMSprop::RMSprop(Groups groups)
    : GroupedOptimizer("RMSprop", {"square_avg", "momentum_buffer", "grad_avg"}, std::move(groups)) {
  finish_groups();
}

void RMSprop::visit_options(size_t group, OptionVisitor& visitor) {
  RMSpropOptions& o = options_[group];
  visitor.number("lr", o.lr);
  visitor.number("alpha", o.alpha);
  visitor.number("eps", o.eps);
  visitor.number("weight_decay", o.weight_decay);
  visitor.number("momentum", o.momentum);
  visitor.flag("centered", o.centered);
  visitor.flag("maximize", o.maximize);
}

void RMSprop::check_options(size_t group) const {
  const RMSpropOptions& o = options_[group];
  check_at_least("lr", o.lr, 0);
  check_at_least("alpha", o.alpha, 0);
  check_at_least("eps", o.eps, 0);
  check_at_least("weight_decay", o.weight_decay, 0);
  check_at_least("momentum", o.momentum, 0);
}

bool RMSprop::uses_slot(size_t group, size_t slot) const {
  return slot == 0 || (slot == 1 ? options_[group].momentum > 0 : options_[group].centered);
}

template <class T> void RMSprop::sweep(size_t group, const Piece<T>& p) const {
  const RMSpropOptions& o = options_[group];
  const kernels::RmsPropStep<T> step{
      .lr = static_cast<T>(o.lr),
      .sign = static_cast<T>(o.maximize ? -p.scale : p.scale),
      .l2 = static_cast<T>(o.weight_decay),
      .alpha = static_cast<T>(o.alpha),
      .one_minus_alpha = static_cast<T>(1 - o.alpha),
      .eps = static_cast<T>(o.eps),
      .momentum = static_cast<T>(o.momentum),
  };
  kernels::kernels<T>().rmsprop(p.n, p.w, p.g, p.slots[0], p.slots[1], p.slots[2], step);
}

}  // namespace qing::optim
