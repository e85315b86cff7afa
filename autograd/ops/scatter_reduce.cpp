// Sums and means use scatter_add. A product is a tree. The largest and the smallest share their gradient among equal
// elements, as amax does.
#include <qing/autograd/ops/indexing.h>

#include <algorithm>
#include <limits>
#include <vector>

#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/gather_detail.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/masks.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/index_elements.h>

namespace qing {
namespace {

constexpr const char* kScatterReduce = "scatter_reduce";

// The number of values for each element, at least 1.
Tensor counts(const Tensor& x, int64_t dim, const Tensor& index, bool include_self) {
  Tensor count = Tensor::full(x.shape(), include_self ? 1 : 0, x.dtype());
  scatter_elements(count, dim, index, Tensor::full(index.shape(), 1, x.dtype()), Placing::add);
  return clamp_min(count, 1);
}

Tensor extreme(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Placing placing) {
  Tensor y = x.alias().clone();
  scatter_elements(y, dim, index, source.alias(), placing);
  if (recording({x, source})) {
    record("scatter_reduce", y, {x, source},
           [dim, index = Saved(index), x = Saved(x), source = Saved(source), y = Saved(y)](const Tensor& dy,
                                                                                           GradSink& grad) {
             const Tensor& at = index.get(grad);
             const Tensor& value = y.get(grad);
             const Tensor own = equal_mask(x.get(grad), value);
             const Tensor given = equal_mask(source.get(grad), gather_elements(value, dim, at));
             const Tensor share = div(dy, scatter_add(own, dim, at, given));
             grad.add(0, mul(share, own));
             if (grad.needs(1)) grad.add(1, mul(gather(share, dim, at), given));
           });
  }
  return y;
}

// The products of consecutive runs of `values`, of the given sizes, each at least 1. Neighbours are multiplied until
// one is left. A value's gradient is a product that never contains the value itself, so it is exact where values are 0,
// at any order.
Tensor products_of_runs(Tensor values, std::vector<int64_t> sizes) {
  const Tensor one = Tensor::full({1}, 1, values.dtype());
  while (std::any_of(sizes.begin(), sizes.end(), [](int64_t size) { return size > 1; })) {
    const int64_t none = values.numel();
    std::vector<int64_t> left, right;
    int64_t at = 0;
    for (int64_t& size : sizes) {
      for (int64_t i = 0; i < size; i += 2) {
        left.push_back(at + i);
        right.push_back(i + 1 < size ? at + i + 1 : none);
      }
      at += size;
      size = (size + 1) / 2;
    }
    values = mul(index_select(values, 0, vector_of(left)), index_select(cat({values, one}), 0, vector_of(right)));
  }
  return values;
}

Tensor product(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, bool include_self) {
  const int64_t count = x.numel(), given = index.numel();
  // For each element of source, its target in x, counted from the first element.
  const Tensor targets = gather_elements(Tensor::arange(count).reshape(x.shape()), dim, index);
  const int64_t* target = targets.data<int64_t>();
  std::vector<int64_t> sizes(static_cast<size_t>(count), 0);
  for (int64_t i = 0; i < given; ++i) ++sizes[target[i]];
  std::vector<int64_t> begin(sizes.size());
  int64_t total = 0;
  std::vector<int64_t> order(static_cast<size_t>(count + given));
  for (int64_t t = 0; t < count; ++t) {
    begin[t] = total;
    if (include_self || sizes[t] == 0) {
      order[begin[t]++] = t;
      ++sizes[t];
    }
    total += sizes[t];
  }
  order.resize(static_cast<size_t>(total));
  for (int64_t i = 0; i < given; ++i) order[begin[target[i]]++] = count + i;
  const Tensor all = cat({reshape(x, {count}), reshape(source, {given})});
  return reshape(products_of_runs(index_select(all, 0, vector_of(order)), std::move(sizes)), x.shape());
}

}  // namespace

Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, ScatterReduce reduce,
                      bool include_self) {
  check_floating(x, kScatterReduce);
  if (x.dim() == 0) {
    return reshape(scatter_reduce(as_vector(x), dim, as_vector(index), as_vector(source), reduce, include_self), {});
  }
  const int64_t d = wrap_dim(dim, x.dim(), kScatterReduce);
  const Tensor which = element_index(x, d, index, kScatterReduce), part = used_part(x, which, source, kScatterReduce);
  // Without x's own values, each written element starts from a neutral value.
  const auto base = [&](double nothing) { return include_self ? x : scatter(x, d, which, nothing); };
  constexpr double inf = std::numeric_limits<double>::infinity();
  switch (reduce) {
    case ScatterReduce::sum: return scatter_add(base(0), d, which, part);
    case ScatterReduce::mean: return div(scatter_add(base(0), d, which, part), counts(x, d, which, include_self));
    case ScatterReduce::prod: return product(x, d, which, part, include_self);
    case ScatterReduce::amax: return extreme(base(-inf), d, which, part, Placing::larger);
    case ScatterReduce::amin: return extreme(base(inf), d, which, part, Placing::smaller);
  }
  throw ValueError("scatter_reduce: no such reduction");
}

}  // namespace qing
