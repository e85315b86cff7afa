// Views. The gradient of a view is the inverse view. Each begins with alias(), since a view that changes nothing may be
// the tensor itself, which already has its node in the graph.
#include <qing/autograd/ops/views.h>

#include <qing/autograd/graph.h>
#include <qing/autograd/node.h>
#include <qing/autograd/ops/views_detail.h>
#include <qing/autograd/view_history.h>
#include <qing/tensor/dispatch.h>

namespace qing {

void add_at(const Tensor& whole, const Tensor& positions, const Tensor& values) {
  const Tensor at = positions.contiguous(), given = values.contiguous();
  const auto places = at.span<int64_t>();
  dispatch_floating(whole.dtype(), "view", [&](auto zero) {
    using T = decltype(zero);
    T* const out = whole.data<T>();
    const T* const in = given.data<T>();
    for (size_t i = 0; i < places.size(); ++i) out[places[i]] += in[i];
  });
}

Tensor reshape(const Tensor& x, const Shape& shape) {
  Tensor y = x.alias().reshape(shape);
  if (recording({x})) {
    record("reshape", y, {x}, [from = x.shape()](const Tensor& dy, GradSink& grad) { grad.add(0, dy.reshape(from)); });
  }
  link_view(y, x);
  return y;
}

Tensor squeeze(const Tensor& x, int64_t dim) { return reshape(x, x.layout().squeeze(dim).sizes); }
Tensor unsqueeze(const Tensor& x, int64_t dim) { return reshape(x, x.layout().unsqueeze(dim).sizes); }

Tensor transpose(const Tensor& x, int64_t a, int64_t b) {
  Tensor y = x.alias().transpose(a, b);
  if (recording({x})) {
    record("transpose", y, {x}, [a, b](const Tensor& dy, GradSink& grad) { grad.add(0, dy.transpose(a, b)); });
  }
  link_view(y, x);
  return y;
}

Tensor permute(const Tensor& x, const std::vector<int64_t>& order) {
  Tensor y = x.alias().permute(order);
  if (recording({x})) {
    std::vector<int64_t> inverse(order.size());
    for (size_t i = 0; i < order.size(); ++i) {
      inverse[wrap_dim(order[i], x.dim(), "permute")] = static_cast<int64_t>(i);
    }
    record("permute", y, {x}, [inverse](const Tensor& dy, GradSink& grad) { grad.add(0, dy.permute(inverse)); });
  }
  link_view(y, x);
  return y;
}

Tensor expand(const Tensor& x, const Shape& shape) {
  Tensor y = x.alias().expand(shape);
  if (recording({x})) {
    record("expand", y, {x}, [](const Tensor& dy, GradSink& grad) { grad.add(0, dy); });  // the sink sums
  }
  link_view(y, x);
  return y;
}

Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step) {
  return part("slice", x, [=](const Tensor& whole) { return whole.slice(dim, start, end, step); });
}

Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  return part("select", x, [=](const Tensor& whole) { return whole.select(dim, index); });
}

Tensor clone(const Tensor& x) {
  Tensor y = x.alias().clone();
  if (recording({x})) record("clone", y, {x}, [](const Tensor& dy, GradSink& grad) { grad.add(0, dy); });
  return y;
}

Tensor to(const Tensor& x, DType dtype) {
  if (dtype == x.dtype()) return x;
  Tensor y = x.alias().to(dtype);
  if (is_floating(dtype) && recording({x})) {
    record("to", y, {x}, [from = x.dtype()](const Tensor& dy, GradSink& grad) { grad.add(0, dy.to(from)); });
  }
  return y;
}

Tensor GradMeta::reshape(const Tensor& x, const Shape& shape) const { return qing::reshape(x, shape); }
Tensor GradMeta::transpose(const Tensor& x, int64_t a, int64_t b) const { return qing::transpose(x, a, b); }
Tensor GradMeta::permute(const Tensor& x, const std::vector<int64_t>& order) const { return qing::permute(x, order); }
Tensor GradMeta::expand(const Tensor& x, const Shape& shape) const { return qing::expand(x, shape); }
Tensor GradMeta::slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step) const {
  return qing::slice(x, dim, start, end, step);
}
Tensor GradMeta::select(const Tensor& x, int64_t dim, int64_t index) const { return qing::select(x, dim, index); }
Tensor GradMeta::squeeze(const Tensor& x, int64_t dim) const { return qing::squeeze(x, dim); }
Tensor GradMeta::unsqueeze(const Tensor& x, int64_t dim) const { return qing::unsqueeze(x, dim); }
Tensor GradMeta::view(const Tensor& x, std::function<Tensor(const Tensor&)> view) const {
  return part("view", x, std::move(view));
}
Tensor GradMeta::clone(const Tensor& x) const { return qing::clone(x); }
Tensor GradMeta::to(const Tensor& x, DType dtype) const { return qing::to(x, dtype); }

std::vector<Tensor> meshgrid(const std::vector<Tensor>& vectors, GridIndexing indexing) {
  const size_t rank = vectors.size();
  Shape shape;
  for (const Tensor& vector : vectors) {
    if (vector.dim() > 1)
      throw ShapeError("meshgrid: a tensor of shape " + to_string(vector.shape()) + "; needs vectors");
    shape.push_back(vector.numel());
  }
  std::vector<Tensor> grids;
  for (size_t i = 0; i < rank; ++i) {
    Shape own(rank, 1);
    own[i] = shape[i];
    const Tensor grid = expand(reshape(vectors[i], own), shape);
    grids.push_back(indexing == GridIndexing::xy && rank >= 2 ? transpose(grid, 0, 1) : grid);
  }
  return grids;
}

}  // namespace qing
