#include <qing/optim/optimizer.h>
#include <qing/tensor/kernels/kernels.h>

namespace qing::optim {

Adagrad::Adagrad(Groups groups) : GroupedOptimizer("Adagrad", {"sum"}, std::move(groups)) { finish_groups(); }

void Adagrad::visit_options(size_t group, OptionVisitor& visitor) {
  AdagradOptions& o = options_[group];
  visitor.number("lr", o.lr);
  visitor.number("lr_decay", o.lr_decay);
  visitor.number("weight_decay", o.weight_decay);
  visitor.number("initial_accumulator_value", o.initial_accumulator_value);
  visitor.number("eps", o.eps);
  visitor.flag("maximize", o.maximize);
}

void Adagrad::check_options(size_t group) const {
  const AdagradOptions& o = options_[group];
  check_at_least("lr", o.lr, 0);
  check_at_least("lr_decay", o.lr_decay, 0);
  check_at_least("weight_decay", o.weight_decay, 0);
  check_at_least("initial_accumulator_value", o.initial_accumulator_value, 0);
  check_at_least("eps", o.eps, 0);
}

template <class T> void Adagrad::sweep(size_t group, const Piece<T>& p) const {
  const AdagradOptions& o = options_[group];
  const kernels::AdagradStep<T> step{
      .lr = static_cast<T>(o.lr / (1 + static_cast<double>(p.step - 1) * o.lr_decay)),
      .sign = static_cast<T>(o.maximize ? -p.scale : p.scale),
      .l2 = static_cast<T>(o.weight_decay),
      .eps = static_cast<T>(o.eps),
  };
  kernels::kernels<T>().adagrad(p.n, p.w, p.g, p.slots[0], step);
}

}  // namespace qing::optim
