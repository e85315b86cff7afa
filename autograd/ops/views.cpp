// Views: the gradient of a view is the same view, undone. Each begins with alias(), since a view that changes nothing
// may be the tensor itself, whose place in the graph is taken.
#include <qing/autograd/graph.h>
#include <qing/autograd/ops.h>

namespace qing {

Tensor reshape(const Tensor& x, const Shape& shape) {
  Tensor y = x.alias().reshape(shape);
  if (recording({x})) {
    record("reshape", y, {x},
           [from = x.shape()](const Tensor& dy, GradSink& grad) { grad.add(0, dy.reshape(from)); });
  }
  return y;
}

Tensor transpose(const Tensor& x, int64_t a, int64_t b) {
  Tensor y = x.alias().transpose(a, b);
  if (recording({x})) {
    record("transpose", y, {x}, [a, b](const Tensor& dy, GradSink& grad) { grad.add(0, dy.transpose(a, b)); });
  }
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
  return y;
}

Tensor expand(const Tensor& x, const Shape& shape) {
  Tensor y = x.alias().expand(shape);
  if (recording({x})) {
    record("expand", y, {x}, [](const Tensor& dy, GradSink& grad) { grad.add(0, dy); });  // the sink sums
  }
  return y;
}

namespace {

// The gradient of a part: zeros, with dy where the part was taken from.
template <class View>
void scatter(const Tensor& dy, GradSink& grad, const Shape& shape, View view) {
  const Tensor whole = Tensor::zeros(shape, dy.dtype());
  view(whole).copy_from(dy);
  grad.add(0, whole);
}

}  // namespace

Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step) {
  Tensor y = x.alias().slice(dim, start, end, step);
  if (recording({x})) {
    record("slice", y, {x}, [shape = x.shape(), dim, start, end, step](const Tensor& dy, GradSink& grad) {
      scatter(dy, grad, shape, [&](const Tensor& whole) { return whole.slice(dim, start, end, step); });
    });
  }
  return y;
}

Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  Tensor y = x.alias().select(dim, index);
  if (recording({x})) {
    record("select", y, {x}, [shape = x.shape(), dim, index](const Tensor& dy, GradSink& grad) {
      scatter(dy, grad, shape, [&](const Tensor& whole) { return whole.select(dim, index); });
    });
  }
  return y;
}

}  // namespace qing
