// Views of a part of a tensor, and their gradient. Private to this folder.
#pragma once

#include <utility>

#include <qing/autograd/graph.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Zeros of `shape`, with x where `view` looks: the transpose of part().
template <class View>
Tensor place(OpName op, const Tensor& x, const Shape& shape, View view);

/// view(x), recorded. `view` is any function of a tensor to a view of it in which no element stands twice.
template <class View>
Tensor part(OpName op, const Tensor& x, View view) {
  Tensor y = view(x.alias());
  if (recording({x})) {
    record(op, y, {x}, [op, view = std::move(view), shape = x.shape()](const Tensor& dy, GradSink& grad) {
      grad.add(0, place(op, dy, shape, view));
    });
  }
  return y;
}

template <class View>
Tensor place(OpName op, const Tensor& x, const Shape& shape, View view) {
  Tensor whole = Tensor::zeros(shape, x.dtype());
  view(whole).copy_from(x);
  if (recording({x})) {
    record(op, whole, {x},
           [op, view = std::move(view)](const Tensor& dy, GradSink& grad) { grad.add(0, part(op, dy, view)); });
  }
  return whole;
}

}  // namespace qing
