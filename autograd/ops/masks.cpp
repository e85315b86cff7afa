#include <qing/autograd/ops/masks.h>

#include <qing/autograd/ops/elementwise.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>

namespace qing {

Tensor equal_mask(const Tensor& a, const Tensor& b) {
  return map(
      "equal_mask", [](auto p, auto q) { return decltype(p)(p == q ? 1 : 0); }, a, b);
}

Tensor sign_mask(const Tensor& x) {
  const Tensor dense = x.alias().contiguous();
  Tensor mask = Tensor::empty(x.shape(), x.dtype());
  dispatch_floating(x.dtype(), "sign_mask", [&](auto zero) {
    using T = decltype(zero);
    map(mask.numel(), dense.data<T>(), mask.data<T>(), [](T v) { return T((v > 0 ? 1 : 0) - (v < 0 ? 1 : 0)); });
  });
  return mask;
}

Tensor zero_mask(const Tensor& x) { return equal_mask(x, Tensor::zeros({}, x.dtype())); }

}  // namespace qing
