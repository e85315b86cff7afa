#include <qing/optim/optimizer.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/kernels/kernels.h>

namespace qing::optim {

Sgd::Sgd(Groups groups) : GroupedOptimizer("Sgd", {"momentum_buffer"}, std::move(groups)) { finish_groups(); }

void Sgd::visit_options(size_t group, OptionVisitor& visitor) {
  SgdOptions& o = options_[group];
  visitor.number("lr", o.lr);
  visitor.number("momentum", o.momentum);
  visitor.number("dampening", o.dampening);
  visitor.number("weight_decay", o.weight_decay);
  visitor.flag("nesterov", o.nesterov);
  visitor.flag("maximize", o.maximize);
}

void Sgd::check_options(size_t group) const {
  const SgdOptions& o = options_[group];
  check_at_least("lr", o.lr, 0);
  check_at_least("momentum", o.momentum, 0);
  check_at_least("dampening", o.dampening, 0);
  check_at_least("weight_decay", o.weight_decay, 0);
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) {
    throw ValueError("Sgd: nesterov needs a momentum above 0 and no dampening");
  }
}

bool Sgd::uses_slot(size_t group, size_t) const { return options_[group].momentum != 0; }

bool Sgd::skips_zeros(size_t group) const { return options_[group].momentum == 0 && options_[group].weight_decay == 0; }

template <class T> void Sgd::sweep(size_t group, const Piece<T>& p) const {
  const SgdOptions& o = options_[group];
  const kernels::SgdStep<T> step{.lr = static_cast<T>(o.lr),
                                 .sign = static_cast<T>(o.maximize ? -p.scale : p.scale),
                                 .l2 = static_cast<T>(o.weight_decay),
                                 .momentum = static_cast<T>(o.momentum),
                                 .gradient_share = static_cast<T>(p.fresh ? 1 : 1 - o.dampening),
                                 .nesterov = o.nesterov};
  kernels::kernels<T>().sgd(p.n, p.w, p.g, p.slots[0], step);
}

}  // namespace qing::optim
