// Views of a part of a tensor, and their gradient. Private to this folder.
#pragma once

#include <utility>

#include <qing/autograd/graph.h>
#include <qing/autograd/view_history.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Adds each of `values` to an element of the contiguous tensor `whole`: `positions` (i64) counts from the first
/// element.
void add_at(const Tensor& whole, const Tensor& positions, const Tensor& values);

/// Zeros of `shape`, with x in the part that `view` selects; elements selected more than once get the sum. The
/// transpose of part().
template <class View> Tensor place(OpName op, const Tensor& x, const Shape& shape, View view);

/// view(x), recorded. `view` is any function from a tensor to a view of it.
template <class View> Tensor part(OpName op, const Tensor& x, View view) {
  Tensor y = view(x.alias());
  if (recording({x})) {
    record(op, y, {x}, [op, view = std::move(view), shape = x.shape()](const Tensor& dy, GradSink& grad) {
      grad.add(0, place(op, dy, shape, view));
    });
  }
  link_view(y, x);
  return y;
}

template <class View> Tensor place(OpName op, const Tensor& x, const Shape& shape, View view) {
  Tensor whole = Tensor::zeros(shape, x.dtype());
  if (Tensor seen = view(whole); !seen.layout().may_overlap_itself()) {
    seen.copy_from(x.alias());
  } else {
    add_at(whole, view(Tensor::arange(whole.numel()).reshape(shape)), x);
  }
  if (recording({x})) {
    record(op, whole, {x},
           [op, view = std::move(view)](const Tensor& dy, GradSink& grad) { grad.add(0, part(op, dy, view)); });
  }
  return whole;
}

}  // namespace qing
