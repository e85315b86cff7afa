// Gathering and scattering elements. Each operation is linear, and its gradient is another one of the family.
#include <qing/autograd/ops/indexing.h>

#include <fmt/format.h>

#include <algorithm>

#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/gather_detail.h>
#include <qing/autograd/ops/pointwise_detail.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/index_elements.h>
#include <qing/tensor/scalar_rules.h>

namespace qing {
namespace {

// The index of an operation on rows, checked against x and against the source, if any.
Tensor row_index(const Tensor& x, int64_t dim, const Tensor& index, const Tensor* source, const char* op) {
  if (index.dim() != 1) throw ShapeError(fmt::format("{}: the index is [n], got {}", op, to_string(index.shape())));
  if (source != nullptr) {
    check_same_dtype(x, *source, op);
    Shape wanted = x.shape();
    wanted[dim] = index.size(0);
    if (source->shape() != wanted) {
      throw ShapeError(fmt::format("{}: source {} for {} with {} indices along dimension {}; needs {}", op,
                                   to_string(source->shape()), to_string(x.shape()), index.size(0), dim,
                                   to_string(wanted)));
    }
  }
  return checked_index(index, x.size(dim), op);
}

// 1 for an element of source that no later index overwrote, else 0.
Tensor surviving(const Shape& shape, int64_t dim, const Tensor& index, DType dtype) {
  Tensor last = Tensor::full(shape, -1, DType::i64);
  const Tensor order = Tensor::arange(index.numel()).reshape(index.shape());
  scatter_elements(last, dim, index, order, Placing::overwrite);
  const Tensor winner = gather_elements(last, dim, index);
  return map_to<int64_t>(
             index.shape(), [](int64_t a, int64_t b) { return int64_t{a == b}; }, winner, order)
      .to(dtype);
}

Tensor with_zeros_at(const Tensor& x, int64_t dim, const Tensor& index) {
  return scatter(x, dim, index, Tensor::zeros(index.shape(), x.dtype()));
}

}  // namespace

Tensor element_index(const Tensor& x, int64_t dim, const Tensor& index, const char* op) {
  bool fits = index.dim() == x.dim();
  for (int64_t d = 0; fits && d < x.dim(); ++d) fits = d == dim || index.size(d) <= x.size(d);
  if (!fits) {
    throw ShapeError(fmt::format("{}: index {} for {} along dimension {}; needs as many dimensions, none larger", op,
                                 to_string(index.shape()), to_string(x.shape()), dim));
  }
  return checked_index(index, x.size(dim), op);
}

Tensor used_part(const Tensor& x, const Tensor& index, const Tensor& source, const char* op) {
  check_same_dtype(x, source, op);
  bool fits = index.dim() == source.dim();
  for (int64_t d = 0; fits && d < index.dim(); ++d) fits = index.size(d) <= source.size(d);
  if (!fits) {
    throw ShapeError(fmt::format("{}: source {} for an index {}; needs one at least as large", op,
                                 to_string(source.shape()), to_string(index.shape())));
  }
  Tensor part = source;
  for (int64_t d = 0; d < index.dim(); ++d) {
    if (index.size(d) < source.size(d)) part = slice(part, d, 0, index.size(d));
  }
  return part;
}

Tensor as_vector(const Tensor& x) { return x.dim() == 0 ? reshape(x, {1}) : x; }

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  if (x.dim() == 0) {
    const Tensor rows = index_select(reshape(x, {1}), dim, index);
    if (rows.numel() != 1) throw ShapeError("index_select: a tensor without dimensions takes one index");
    return reshape(rows, {});
  }
  const int64_t d = wrap_dim(dim, x.dim(), "index_select");
  const Tensor rows = row_index(x, d, index.dim() == 0 ? index.reshape({1}) : index, nullptr, "index_select");
  Tensor y = take_rows(x.alias(), d, rows);
  if (recording({x})) {
    record("index_select", y, {x}, [d, shape = x.shape(), rows = Saved(rows)](const Tensor& dy, GradSink& grad) {
      if (grad.create_graph()) return grad.add(0, index_add(Tensor::zeros(shape, dy.dtype()), d, rows.get(grad), dy));
      place_rows(grad.zeroed_target(0), d, rows.get(grad), dy, Placing::add);
    });
  }
  return y;
}

Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha) {
  const int64_t d = wrap_dim(dim, x.dim(), "index_add");
  const Tensor rows = row_index(x, d, index, &source, "index_add");
  if (alpha.to_double() != 1) return index_add(x, d, rows, mul(source, operand_like(x, alpha, "index_add")));
  Tensor y = x.alias().clone();
  place_rows(y, d, rows, source.alias(), Placing::add);
  if (recording({x, source})) {
    record("index_add", y, {x, source}, [d, rows = Saved(rows)](const Tensor& dy, GradSink& grad) {
      grad.add(0, dy);
      if (grad.needs(1)) grad.add(1, index_select(dy, d, rows.get(grad)));
    });
  }
  return y;
}

Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  const int64_t d = wrap_dim(dim, x.dim(), "index_copy");
  const Tensor rows = row_index(x, d, index, &source, "index_copy");
  Shape one_each(x.shape().size(), 1);
  one_each[d] = rows.numel();
  return scatter(x, d, rows.reshape(one_each).expand(source.shape()).contiguous(), source);
}

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  if (x.dim() == 0 || index.dim() == 0) return reshape(gather(as_vector(x), dim, as_vector(index)), index.shape());
  const int64_t d = wrap_dim(dim, x.dim(), "gather");
  const Tensor which = element_index(x, d, index, "gather");
  Tensor y = gather_elements(x.alias(), d, which);
  record_picked("gather", y, x, d, which);
  return y;
}

void record_picked(OpName op, Tensor& y, const Tensor& x, int64_t dim, const Tensor& index) {
  if (!recording({x})) return;
  record(op, y, {x}, [dim, shape = x.shape(), index = Saved(index)](const Tensor& dy, GradSink& grad) {
    const Tensor& which = index.get(grad);
    if (grad.create_graph()) return grad.add(0, scatter_add(Tensor::zeros(shape, dy.dtype()), dim, which, dy));
    scatter_elements(grad.zeroed_target(0), dim, which, dy, Placing::add);
  });
}

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  if (x.dim() == 0) return reshape(scatter(as_vector(x), dim, as_vector(index), as_vector(source)), {});
  const int64_t d = wrap_dim(dim, x.dim(), "scatter");
  const Tensor which = element_index(x, d, index, "scatter"), part = used_part(x, which, source, "scatter");
  Tensor y = x.alias().clone();
  scatter_elements(y, d, which, part.alias(), Placing::overwrite);
  if (recording({x, part})) {
    record("scatter", y, {x, part}, [d, which = Saved(which)](const Tensor& dy, GradSink& grad) {
      const Tensor& at = which.get(grad);
      if (grad.needs(0)) grad.add(0, with_zeros_at(dy, d, at));
      if (grad.needs(1)) grad.add(1, mul(gather(dy, d, at), surviving(dy.shape(), d, at, dy.dtype())));
    });
  }
  return y;
}

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, Scalar value) {
  return scatter(x, dim, index, stored_scalar(value, x.dtype(), "scatter").expand(index.shape()));
}

Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  if (x.dim() == 0) return reshape(scatter_add(as_vector(x), dim, as_vector(index), as_vector(source)), {});
  const int64_t d = wrap_dim(dim, x.dim(), "scatter_add");
  const Tensor which = element_index(x, d, index, "scatter_add"), part = used_part(x, which, source, "scatter_add");
  Tensor y = x.alias().clone();
  scatter_elements(y, d, which, part.alias(), Placing::add);
  if (recording({x, part})) {
    record("scatter_add", y, {x, part}, [d, which = Saved(which)](const Tensor& dy, GradSink& grad) {
      grad.add(0, dy);
      if (grad.needs(1)) grad.add(1, gather(dy, d, which.get(grad)));
    });
  }
  return y;
}

Tensor take_along_dim(const Tensor& x, const Tensor& index, int64_t dim) {
  if (x.dim() != index.dim()) {
    throw ShapeError(fmt::format("take_along_dim: {} and an index {}; needs as many dimensions", to_string(x.shape()),
                                 to_string(index.shape())));
  }
  const int64_t d = wrap_dim(dim, x.dim(), "take_along_dim");
  Shape values = x.shape(), indices = index.shape();
  values[d] = indices[d] = 1;
  values = indices = broadcast_shapes(values, indices, "take_along_dim");
  values[d] = x.size(d);
  indices[d] = index.size(d);
  return gather(expand(x, values), d, index.expand(indices));
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  if (mask.dtype() != DType::boolean && mask.dtype() != DType::u8) {
    throw DTypeError(std::string("masked_select: the mask is bool or u8, got ") + name_of(mask.dtype()));
  }
  const Shape shape = broadcast_shapes(x.shape(), mask.shape(), "masked_select");
  const Tensor chosen = mask.to(DType::boolean).expand(shape).contiguous();
  const bool* keep = chosen.data<bool>();
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < chosen.numel(); ++i) {
    if (keep[i]) rows.push_back(i);
  }
  const Shape flat = {chosen.numel()};
  return index_select(reshape(expand(x, shape), flat), 0, vector_of(rows));
}

}  // namespace qing
