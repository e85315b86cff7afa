#include <qing/nn/layers/row_parts.h>

#include <algorithm>
#include <mutex>

#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/tensor/threads.h>

namespace qing::nn {

bool shares_rows(const Tensor& x, int64_t bytes) {
  // Weights of few bytes stay in L2. Less work than kWork, rows times bytes, costs less than waking another thread.
  constexpr int64_t kManyRows = 28, kFewBytes = 768 << 10, kWork = 1 << 22;
  if (grad_enabled() || autocast_dtype() != DType::f32 || x.dim() != 2) return false;
  const int64_t threads = num_threads(), rows = x.size(0);
  if (threads == 1 || rows < threads || rows * bytes < kWork) return false;
  return rows >= kManyRows * threads || bytes <= kFewBytes;
}

Tensor in_row_parts(const Tensor& x, const Tensor& y,
                    const std::function<Tensor(const Tensor& x, const Tensor& y)>& run) {
  const int64_t rows = x.size(0), parts = std::clamp<int64_t>(rows, 1, num_threads());
  Tensor result;
  std::once_flag made;
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    const NoGradGuard guard;
    const ThreadLimit alone(1);
    for (int64_t p = begin; p < end; ++p) {
      const int64_t first = rows * p / parts, last = rows * (p + 1) / parts;
      const Tensor some = run(x.slice(0, first, last), y.slice(0, first, last));
      std::call_once(made, [&] { result = Tensor::empty({rows, some.size(1)}, some.dtype()); });
      result.slice(0, first, last).copy_from(some);
    }
  });
  return result;
}

}  // namespace qing::nn
