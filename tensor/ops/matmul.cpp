#include <qing/tensor/ops/matmul.h>

#include <algorithm>
#include <vector>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// A product with more multiplications than this uses all threads itself.
constexpr int64_t kLargeProduct = 1 << 22;
// Smaller products are given to threads in runs of about this many multiplications.
constexpr int64_t kWorkGrain = 1 << 17;

// Rows and columns of the last two dimensions, with strides.
struct Matrix {
  int64_t rows, columns, row_stride, column_stride;

  explicit Matrix(const Tensor& x) {
    const size_t rank = x.shape().size();
    rows = x.shape()[rank - 2];
    columns = x.shape()[rank - 1];
    row_stride = x.strides()[rank - 2];
    column_stride = x.strides()[rank - 1];
    // The stride of a dimension of size 1 has no meaning.
    if (columns == 1) column_stride = 1;
    if (rows == 1 && column_stride != 1) row_stride = 1;
  }
  bool readable() const { return row_stride == 1 || column_stride == 1; }
  Trans trans() const { return column_stride == 1 ? Trans::no : Trans::yes; }
  int64_t leading() const { return column_stride == 1 ? row_stride : column_stride; }
};

// One leading dimension: its size and the distance between its matrices; 0 where a tensor lacks it.
struct Batch {
  int64_t size, a, b, y;
};

struct ProductPlan {
  Matrix a, b, y;
  std::vector<Batch> outputs;  // one product each
  std::vector<Batch> sums;     // products that are added to one result

  ProductPlan(const Tensor& left, const Tensor& right, const Tensor& result) : a(left), b(right), y(result) {
    for (int64_t d = std::max(left.dim(), right.dim()) - 3; d >= 0; --d) add(left, right, result, d);
    for (const Batch& sum : sums) {
      if (sum.size == 0) a.columns = b.rows = 0;  // an empty sum
    }
    if (a.columns == 0) sums.clear();
  }

 private:
  // Adds dimension d, counted in the operand with more dimensions. Call from the last to the first.
  void add(const Tensor& left, const Tensor& right, const Tensor& result, int64_t d) {
    const int64_t from_back = std::max(left.dim(), right.dim()) - d;
    const auto size_of = [&](const Tensor& x) { return from_back > x.dim() ? 1 : x.size(-from_back); };
    const auto stride_of = [&](const Tensor& x) { return size_of(x) == 1 ? 0 : x.strides()[x.dim() - from_back]; };
    const int64_t size = size_of(left) == 1 ? size_of(right) : size_of(left);
    const Batch batch{size, stride_of(left), stride_of(right), stride_of(result)};
    if (size == 1) return;
    if (size_of(result) != 1) {
      if (!fold_into_rows(batch)) outputs.push_back(batch);
    } else if (!fold_into_depth(batch)) {
      sums.push_back(batch);
    }
  }

  // Stacked matrices of a that share one b are a single tall matrix.
  bool fold_into_rows(const Batch& batch) {
    if (batch.b != 0 || batch.size == 0 || a.rows == 0) return false;
    const bool single = a.rows == 1 && a.column_stride == 1;
    if (!single && (batch.a != a.rows * a.row_stride || batch.y != a.rows * y.row_stride)) return false;
    if (single) a.row_stride = batch.a;
    if (single) y.row_stride = batch.y;
    a.rows *= batch.size;
    return true;
  }

  // A sum of products of column blocks and row blocks is one deep product.
  bool fold_into_depth(const Batch& batch) {
    const int64_t depth = a.columns;
    if (depth == 0 || batch.a != depth * a.column_stride || batch.b != depth * b.row_stride) return false;
    a.columns = b.rows = depth * batch.size;
    return true;
  }
};

int64_t count(const std::vector<Batch>& batches) {
  int64_t n = 1;
  for (const Batch& batch : batches) n *= batch.size;
  return n;
}

struct Offsets {
  int64_t a = 0, b = 0, y = 0;

  // Moves to element `index` of the dimensions; the first one runs fastest.
  void advance(const std::vector<Batch>& batches, int64_t index) {
    for (const Batch& batch : batches) {
      const int64_t i = index % batch.size;
      index /= batch.size;
      a += i * batch.a;
      b += i * batch.b;
      y += i * batch.y;
    }
  }
};

template <class T>
void run(const ProductPlan& plan, const T* a, const T* b, T* y, bool accumulate, const T* bias, T* gelu) {
  const int64_t m = plan.a.rows, n = plan.b.columns, k = plan.a.columns;
  const int64_t outputs = count(plan.outputs), sums = count(plan.sums);
  using Multiply = decltype(&gemm_serial<T>);
  const auto product = [&](Multiply multiply, int64_t output) {
    for (int64_t s = 0; s < sums; ++s) {
      Offsets at;
      at.advance(plan.outputs, output);
      at.advance(plan.sums, s);
      const bool last = s + 1 == sums;
      multiply(plan.a.trans(), plan.b.trans(), m, n, k, a + at.a, plan.a.leading(), b + at.b, plan.b.leading(),
               y + at.y, plan.y.row_stride, last ? bias : nullptr, accumulate || s > 0,
               last && gelu != nullptr ? gelu + at.y : nullptr);
    }
  };
  const int64_t work = std::max<int64_t>(1, m * n * std::max<int64_t>(1, k) * sums);
  if (outputs == 1 || work > kLargeProduct) {
    for (int64_t i = 0; i < outputs; ++i) product(gemm<T>, i);
    return;
  }
  parallel_for(outputs, std::max<int64_t>(1, kWorkGrain / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) product(gemm_serial<T>, i);
  });
}

}  // namespace

Tensor gemm_readable(const Tensor& x) { return x.dim() < 2 || Matrix(x).readable() ? x : x.contiguous(); }

void matmul_into(const Tensor& a, const Tensor& b, const Tensor& y, bool accumulate, const Tensor& bias,
                 const Tensor& gelu) {
  const Tensor left = gemm_readable(a), right = gemm_readable(b);
  const Tensor offset = bias.defined() ? bias.contiguous() : bias;
  const ProductPlan plan(left, right, y);
  dispatch_floating(y.dtype(), "matmul", [&](auto zero) {
    using T = decltype(zero);
    run<T>(plan, left.data<T>(), right.data<T>(), y.data<T>(), accumulate,
           offset.defined() ? offset.data<T>() : nullptr, gelu.defined() ? gelu.data<T>() : nullptr);
  });
}

}  // namespace qing
