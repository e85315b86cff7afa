#include <qing/autograd/ops/dropout.h>

#include <fmt/format.h>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/masks.h>
#include <qing/autograd/ops/math.h>
#include <qing/autograd/ops/powers.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/keep_mask.h>

namespace qing {

void check_dropout(double p, const char* op) {
  if (!(p >= 0 && p < 1)) throw ValueError(fmt::format("{}: probability {} is outside [0, 1)", op, p));
}

Tensor keep_mask(int64_t n, double p, Generator& rng) {
  const uint64_t stream = rng.next_stream();
  Tensor mask = Tensor::empty({n}, DType::u8);
  uint8_t* keep = mask.data<uint8_t>();
  parallel_for(n, kElementGrain, [&](int64_t begin, int64_t end) {
    fill_keep_mask(rng.seed(), stream, begin, end - begin, p, keep + begin);
  });
  return mask;
}

Tensor dropout(const Tensor& input, double p, Generator& rng) {
  if (!(p >= 0 && p <= 1)) throw ValueError(fmt::format("dropout: probability {} is outside [0, 1]", p));
  const Tensor x = input.contiguous();
  const Tensor mask = keep_mask(x.numel(), p, rng);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  const double factor = p < 1 ? 1 / (1 - p) : 0;  // with p = 1 the mask may still keep one in 2^32
  const auto apply_mask = [factor](const Tensor& from, const Tensor& keep, const Tensor& to, bool accumulate) {
    dispatch_floating(from.dtype(), "dropout", [&](auto zero) {
      using T = decltype(zero);
      const T* in = from.data<T>();
      const uint8_t* kept = keep.data<uint8_t>();
      T* out = to.data<T>();
      parallel_for(from.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
        kernels::kernels<T>().drop(end - begin, kept + begin, T(factor), in + begin, accumulate ? out + begin : nullptr,
                                   out + begin);
      });
    });
  };
  apply_mask(x, mask, y, false);
  if (recording({input})) {
    record("dropout", y, {input}, [mask = Saved(mask), apply_mask, factor](const Tensor& dy, GradSink& grad) {
      if (grad.create_graph()) {
        const Tensor kept = mask.get(grad).to(DType::boolean).reshape(dy.shape());
        return grad.add(0, where(kept, scale(dy, factor), 0));
      }
      const auto target = grad.target(0);
      apply_mask(dy, mask.get(grad), target.tensor, target.accumulate);
    });
  }
  return y;
}

}  // namespace qing
