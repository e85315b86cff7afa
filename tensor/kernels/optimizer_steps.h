// One step of each optimizer: its numbers, which the caller computes in double, and its formula on a vector V of T. An
// optimizer that is added here and to OptimizerSteps below has a kernel on every ISA.
//
// `sign` is the factor of the gradient: its scale, negative to maximize. `l2` is weight decay as a part of the
// gradient. `keep` is the factor of decoupled weight decay on the weights, 1 − lr·λ.
//
// apply() gives the new weights from the weights w and their gradient g. It reads and writes the optimizer's states,
// of which `kStates` exist; has(k) tells whether state k is kept. An update is the same for every element.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qing::kernels {

/// The gradient that a step follows: times `sign`, with L2 decay added. l2 = 0 adds nothing, not even 0·inf.
template <class V, class T> inline V decayed_gradient(V g, V w, T sign, T l2) {
  const V scaled = g * V::set1(sign);
  return l2 == 0 ? scaled : fma(V::set1(l2), w, scaled);
}

template <class Number> struct SgdStep {
  using T = Number;
  static constexpr size_t kStates = 1;       // momentum
  T lr, sign, l2, momentum, gradient_share;  ///< momentum ← momentum·(old) + gradient_share·(gradient)
  bool nesterov;

  template <class V, class States> V apply(V w, V g, States states) const {
    V gradient = decayed_gradient(g, w, sign, l2);
    if (states.has(0)) {
      const V velocity = fma(V::set1(momentum), states.load(0), V::set1(gradient_share) * gradient);
      states.store(0, velocity);
      gradient = nesterov ? fma(V::set1(momentum), velocity, gradient) : velocity;
    }
    return fma(V::set1(-lr), gradient, w);
  }
};

template <class Number> struct AdamStep {
  using T = Number;
  static constexpr size_t kStates = 3;  // first moment, second moment, largest second moment
  T size, sign, l2, keep, beta1, one_minus_beta1, beta2, one_minus_beta2, inverse_root_c2, eps;  ///< size = lr / c1

  template <class V, class States> V apply(V w, V g, States states) const {
    const V gradient = decayed_gradient(g, w, sign, l2);
    const V first = fma(V::set1(beta1), states.load(0), V::set1(one_minus_beta1) * gradient);
    V second = fma(V::set1(beta2), states.load(1), V::set1(one_minus_beta2) * gradient * gradient);
    states.store(0, first);
    states.store(1, second);
    if (states.has(2)) {
      second = max(states.load(2), second);
      states.store(2, second);
    }
    const V step = first / fma(sqrt(second), V::set1(inverse_root_c2), V::set1(eps));
    return fma(V::set1(-size), step, V::set1(keep) * w);
  }
};

template <class Number> struct RAdamStep {
  using T = Number;
  static constexpr size_t kStates = 2;  // first moment, second moment
  T size, sign, l2, keep, beta1, one_minus_beta1, beta2, one_minus_beta2, eps;
  bool adaptive;  ///< whether the first moment is divided by the root of the second

  template <class V, class States> V apply(V w, V g, States states) const {
    const V gradient = decayed_gradient(g, w, sign, l2);
    const V first = fma(V::set1(beta1), states.load(0), V::set1(one_minus_beta1) * gradient);
    const V second = fma(V::set1(beta2), states.load(1), V::set1(one_minus_beta2) * gradient * gradient);
    states.store(0, first);
    states.store(1, second);
    const V step = adaptive ? first / (sqrt(second) + V::set1(eps)) : first;
    return fma(V::set1(-size), step, V::set1(keep) * w);
  }
};

template <class Number> struct NAdamStep {
  using T = Number;
  static constexpr size_t kStates = 2;  // first moment, second moment
  T gradient_size, moment_size, sign, l2, keep, beta1, one_minus_beta1, beta2, one_minus_beta2, inverse_root_c2, eps;

  template <class V, class States> V apply(V w, V g, States states) const {
    const V gradient = decayed_gradient(g, w, sign, l2);
    const V first = fma(V::set1(beta1), states.load(0), V::set1(one_minus_beta1) * gradient);
    const V second = fma(V::set1(beta2), states.load(1), V::set1(one_minus_beta2) * gradient * gradient);
    states.store(0, first);
    states.store(1, second);
    const V step = fma(V::set1(gradient_size), gradient, V::set1(moment_size) * first);
    return V::set1(keep) * w - step / fma(sqrt(second), V::set1(inverse_root_c2), V::set1(eps));
  }
};

template <class Number> struct AdagradStep {
  using T = Number;
  static constexpr size_t kStates = 1;  // the sum of squares
  T lr, sign, l2, eps;

  template <class V, class States> V apply(V w, V g, States states) const {
    const V gradient = decayed_gradient(g, w, sign, l2);
    const V sum = fma(gradient, gradient, states.load(0));
    states.store(0, sum);
    return fma(V::set1(-lr), gradient / (sqrt(sum) + V::set1(eps)), w);
  }
};

template <class Number> struct RmsPropStep {
  using T = Number;
  static constexpr size_t kStates = 3;  // mean square, momentum, mean (of a centered variance)
  T lr, sign, l2, alpha, one_minus_alpha, eps, momentum;

  template <class V, class States> V apply(V w, V g, States states) const {
    const V gradient = decayed_gradient(g, w, sign, l2);
    V power = fma(V::set1(alpha), states.load(0), V::set1(one_minus_alpha) * gradient * gradient);
    states.store(0, power);
    if (states.has(2)) {
      const V mean = fma(V::set1(alpha), states.load(2), V::set1(one_minus_alpha) * gradient);
      states.store(2, mean);
      power = max(V::set1(0), power - mean * mean);  // rounding can leave a variance of 0 below it
    }
    V direction = gradient / (sqrt(power) + V::set1(eps));
    if (states.has(1)) {
      direction = fma(V::set1(momentum), states.load(1), direction);
      states.store(1, direction);
    }
    return fma(V::set1(-lr), direction, w);
  }
};

template <class Number> struct LionStep {
  using T = Number;
  static constexpr size_t kStates = 1;  // momentum
  T lr, sign, keep, beta1, one_minus_beta1, beta2, one_minus_beta2;

  template <class V, class States> V apply(V w, V g, States states) const {
    const V gradient = g * V::set1(sign), old = states.load(0), zero = V::set1(0);
    const V mixed = fma(V::set1(beta1), old, V::set1(one_minus_beta1) * gradient);
    // The sign; 0 and NaN stay themselves.
    const V step = select(less(zero, mixed), V::set1(1), select(less(mixed, zero), V::set1(-1), mixed));
    states.store(0, fma(V::set1(beta2), old, V::set1(one_minus_beta2) * gradient));
    return fma(V::set1(-lr), step, V::set1(keep) * w);
  }
};

/// A step over n elements of one parameter: w moves along g. states[k] is state k, or null if it is not kept.
template <class Step>
using Sweep = void (*)(int64_t n, typename Step::T* w, const typename Step::T* g, typename Step::T* const* states,
                       const Step& step);

template <class Step> struct SweepOf { Sweep<Step> run; };
template <class... Steps> struct Sweeps : SweepOf<Steps>... {};

template <class... Steps> struct StepList { using Sweeps = kernels::Sweeps<Steps...>; };
template <class T>
using OptimizerSteps =
    StepList<SgdStep<T>, AdamStep<T>, RAdamStep<T>, NAdamStep<T>, AdagradStep<T>, RmsPropStep<T>, LionStep<T>>;

}  // namespace qing::kernels
