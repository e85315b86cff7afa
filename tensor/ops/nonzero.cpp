#include <qing/tensor/ops/nonzero.h>

#include <algorithm>

#include <qing/tensor/ops/compare.h>
#include <qing/tensor/ops/lanes.h>
#include <qing/tensor/threads.h>

namespace qing {

namespace {

Tensor count(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim, const char* op) {
  const Tensor mask = x.to(DType::boolean);
  const std::vector<int64_t> counted = resolve_dims(dims, x.dim(), op);
  const Lanes lanes(mask.layout(), counted);
  Tensor result = Tensor::empty(reduced_shape(x.shape(), counted, keepdim), DType::i64);
  int64_t* const out = result.data<int64_t>();
  parallel_for(lanes.count(), lanes.tile(), [&](int64_t begin, int64_t end) {
    LaneReader<bool> in(mask, lanes);
    for (int64_t lane = begin; lane < end; ++lane) {
      const bool* const values = in.at(lane);
      out[lane] = std::count(values, values + lanes.length(), true);
    }
  });
  return result;
}

}  // namespace

Tensor count_nonzero(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return count(x, dims, keepdim, "count_nonzero");
}

Tensor any(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return gt(count(x, dims, keepdim, "any"), 0);
}

Tensor all(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return eq(count(logical_not(x), dims, keepdim, "all"), 0);
}

Tensor nonzero(const Tensor& x) {
  const Tensor mask = x.to(DType::boolean).contiguous();
  Tensor result = Tensor::empty({static_cast<int64_t>(count_nonzero(mask).item()), x.dim()}, DType::i64);
  int64_t* out = result.data<int64_t>();
  const auto values = mask.span<bool>();
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
