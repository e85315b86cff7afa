#include <qing/tensor/ops/truth.h>

#include <qing/tensor/ops/compare.h>
#include <qing/tensor/ops/rows.h>
#include <qing/tensor/threads.h>

namespace qing {

Rows rows_of(const Tensor& x, std::vector<int64_t> dims, bool keepdim, const char* op) {
  std::vector<bool> reduced(x.shape().size(), dims.empty());
  for (const int64_t entry : dims) {
    const int64_t d = wrap_dim(entry, x.dim(), op);
    if (reduced[d]) {
      throw ValueError(std::string(op) + ": dimension " + std::to_string(d) + " stands twice in " + to_string(dims));
    }
    reduced[d] = true;
  }
  Rows result{x, {}, 1, 1};
  std::vector<int64_t> order, last;
  for (int64_t d = 0; d < x.dim(); ++d) {
    (reduced[d] ? last : order).push_back(d);
    (reduced[d] ? result.columns : result.rows) *= x.size(d);
    if (!reduced[d] || keepdim) result.shape.push_back(reduced[d] ? 1 : x.size(d));
  }
  order.insert(order.end(), last.begin(), last.end());
  result.values = x.permute(order).reshape({result.rows, result.columns}).contiguous();
  return result;
}

Tensor count_nonzero(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  const Rows rows = rows_of(x.to(DType::boolean), dims, keepdim, "count_nonzero");
  Tensor result = Tensor::empty(rows.shape, DType::i64);
  const bool* const in = rows.values.data<bool>();
  int64_t* const out = result.data<int64_t>();
  parallel_for(rows.rows, row_grain(rows), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const bool* const row = in + r * rows.columns;
      out[r] = std::count(row, row + rows.columns, true);
    }
  });
  return result;
}

Tensor any(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return gt(count_nonzero(x, dims, keepdim), 0);
}

Tensor all(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return eq(count_nonzero(logical_not(x), dims, keepdim), 0);
}

Tensor nonzero(const Tensor& x) {
  const Tensor truth = x.to(DType::boolean).contiguous();
  Tensor result = Tensor::empty({static_cast<int64_t>(count_nonzero(truth).item()), x.dim()}, DType::i64);
  int64_t* out = result.data<int64_t>();
  const auto values = truth.span<bool>();
  const Shape& shape = x.shape();
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i]) continue;
    auto rest = static_cast<int64_t>(i);
    for (size_t d = shape.size(); d-- > 0;) {
      out[d] = rest % shape[d];
      rest /= shape[d];
    }
    out += shape.size();
  }
  return result;
}

}  // namespace qing
