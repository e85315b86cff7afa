#include <qing/tensor/ops/reduce.h>

#include <algorithm>
#include <string>
#include <vector>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kRowsAChunk = 64;

}  // namespace

template <class T> std::vector<double> column_sums(int64_t rows, int64_t columns, const T* x, int64_t ldx) {
  const int64_t chunks = (rows + kRowsAChunk - 1) / kRowsAChunk;
  std::vector<double> sums(static_cast<size_t>(std::max<int64_t>(1, chunks) * columns), 0.0);
  const int64_t grain = std::max<int64_t>(1, kElementGrain / (kRowsAChunk * std::max<int64_t>(1, columns)));
  parallel_for(chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t first = c * kRowsAChunk;
      kernels::kernels<T>().add_columns(std::min(kRowsAChunk, rows - first), columns, x + first * ldx, ldx,
                                        sums.data() + c * columns);
    }
  });
  for (int64_t c = 1; c < chunks; ++c) {
    for (int64_t j = 0; j < columns; ++j) sums[j] += sums[c * columns + j];
  }
  sums.resize(static_cast<size_t>(columns));
  return sums;
}
template std::vector<double> column_sums(int64_t, int64_t, const float*, int64_t);
template std::vector<double> column_sums(int64_t, int64_t, const double*, int64_t);

template <class T> void sum_rows(int64_t rows, int64_t columns, const T* x, int64_t ldx, T* out, bool accumulate) {
  const std::vector<double> sums = column_sums(rows, columns, x, ldx);
  for (int64_t j = 0; j < columns; ++j) {
    out[j] = static_cast<T>(accumulate ? sums[j] + static_cast<double>(out[j]) : sums[j]);
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

}  // namespace qing
