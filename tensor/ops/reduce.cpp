#include <qing/tensor/ops/reduce.h>

#include <algorithm>
#include <vector>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/elementwise.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kRowsAChunk = 64;

// The general case: walks x in row-major order with the index of the element each value belongs to.
template <class T>
void sum_into(const Tensor& x, const Layout& target, T* out) {
  const Shape& sizes = x.shape();
  const T* in = x.data<T>();
  std::vector<int64_t> index(sizes.size(), 0);
  int64_t position = 0;
  for (int64_t i = 0, n = x.numel(); i < n; ++i) {
    out[position] += in[i];
    for (int64_t d = x.dim() - 1; d >= 0; --d) {
      position += target.strides[d];
      if (++index[d] < sizes[d]) break;
      position -= target.strides[d] * sizes[d];
      index[d] = 0;
    }
  }
}

}  // namespace

template <class T>
void sum_rows(int64_t rows, int64_t columns, const T* x, int64_t ldx, T* out, bool accumulate) {
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
  if (!accumulate) std::fill(out, out + columns, T(0));
  for (int64_t c = 0; c < chunks; ++c) table.add(columns, out, partial.data() + c * columns, out);
}
template void sum_rows(int64_t, int64_t, const float*, int64_t, float*, bool);
template void sum_rows(int64_t, int64_t, const double*, int64_t, double*, bool);

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  if (broadcast_shapes(x.shape(), shape, "sum_to") != x.shape()) {
    throw ShapeError("sum_to: " + to_string(shape) + " does not broadcast to " + to_string(x.shape()));
  }
  return dispatch_floating(x.dtype(), "sum_to", [&](auto zero) {
    using T = decltype(zero);
    const Tensor source = x.contiguous();
    Tensor result = Tensor::zeros(shape, x.dtype());
    const int64_t columns = result.numel();
    const auto kept = static_cast<int64_t>(shape.size());
    const bool leading = std::equal(shape.begin(), shape.end(), x.shape().end() - kept);
    if (leading && columns > 0) {
      sum_rows(source.numel() / columns, columns, source.data<T>(), columns, result.data<T>(), false);
    } else {
      sum_into(source, result.layout().expand(x.shape()), result.data<T>());
    }
    return result;
  });
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
