#include <qing/tensor/ops/reduce.h>

#include <algorithm>
#include <string>
#include <vector>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/elementwise.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kRowsAChunk = 64;

}  // namespace

template <class T> void sum_rows(int64_t rows, int64_t columns, const T* x, int64_t ldx, T* out, bool accumulate) {
  const int64_t chunks = (rows + kRowsAChunk - 1) / kRowsAChunk;
  const auto& table = kernels::kernels<T>();
  std::vector<T> partial(static_cast<size_t>(chunks * columns), T(0));
  parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      T* into = partial.data() + c * columns;
      const int64_t last = std::min(rows, (c + 1) * kRowsAChunk);
      for (int64_t r = c * kRowsAChunk; r < last; ++r) table.add(columns, into, x + r * ldx, into);
    }
  });
  std::vector<double> total(static_cast<size_t>(columns), 0.0);
  for (int64_t c = 0; c < chunks; ++c) {
    const T* from = partial.data() + c * columns;
    for (int64_t j = 0; j < columns; ++j) total[j] += static_cast<double>(from[j]);
  }
  for (int64_t j = 0; j < columns; ++j) {
    out[j] = static_cast<T>(accumulate ? total[j] + static_cast<double>(out[j]) : total[j]);
  }
}
template void sum_rows(int64_t, int64_t, const float*, int64_t, float*, bool);
template void sum_rows(int64_t, int64_t, const double*, int64_t, double*, bool);

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  if (broadcast_shapes(x.shape(), shape, "sum_to") != x.shape()) {
    throw ShapeError("sum_to: " + to_string(shape) + " does not broadcast to " + to_string(x.shape()));
  }
  if (!is_floating(x.dtype())) throw DTypeError(std::string("sum_to: needs f32 or f64, got ") + name_of(x.dtype()));
  const auto added = x.dim() - static_cast<int64_t>(shape.size());
  std::vector<int64_t> dims;
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (d < added || shape[d - added] != x.size(d)) dims.push_back(d);
  }
  return sum_over(x.alias(), dims).reshape(shape);
}

double sum_of_squares(const Tensor& x) {
  return dispatch_floating(x.dtype(), "sum_of_squares", [&](auto zero) {
    using T = decltype(zero);
    const auto values = x.span<T>();
    const auto n = static_cast<int64_t>(values.size());
    std::vector<double> partial(static_cast<size_t>((n + kElementGrain - 1) / kElementGrain), 0.0);
    parallel_for(static_cast<int64_t>(partial.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        const int64_t first = c * kElementGrain;
        partial[c] = kernels::kernels<T>().sum_squares(std::min(kElementGrain, n - first), values.data() + first);
      }
    });
    double total = 0;
    for (const double value : partial) total += value;
    return total;
  });
}

}  // namespace qing
