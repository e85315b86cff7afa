// The numbers of one optimizer step, which the caller computes in double.
//
// `sign` is the factor of the gradient: its scale, negative to maximize. `l2` is weight decay as a part of the
// gradient. `keep` is the factor of decoupled weight decay on the weights, 1 − lr·λ.
#pragma once

namespace qing::kernels {

template <class T> struct SgdStep {
  T lr, sign, l2, momentum, gradient_share;  ///< momentum ← momentum·(old) + gradient_share·(gradient)
  bool nesterov;
};
template <class T> struct AdamStep {
  T size, sign, l2, keep, beta1, one_minus_beta1, beta2, one_minus_beta2, inverse_root_c2, eps;  ///< size = lr / c1
};
template <class T> struct AdagradStep { T lr, sign, l2, eps; };
template <class T> struct RmsPropStep { T lr, sign, l2, alpha, one_minus_alpha, eps, momentum; };
template <class T> struct LionStep { T lr, sign, keep, beta1, one_minus_beta1, beta2, one_minus_beta2; };

}  // namespace qing::kernels
