// Indexing by tensors. The indexed dimensions are moved to the front and joined_shapes into one; rows of it are then
// gathered or placed. index_select, index_add and index_copy provide the gradients.
#include <qing/autograd/ops/indexing.h>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/pointwise_detail.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/index_elements.h>
#include <qing/tensor/ops/nonzero.h>
#include <qing/tensor/scalar_rules.h>

namespace qing {
namespace {

Shape joined_shapes(const Shape& a, const Shape& b) {
  Shape all = a;
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

// Appends one index per dimension of the mask: the positions where it is true.
void append_mask(const Tensor& x, const Tensor& mask, std::vector<Tensor>& entries, const char* op) {
  const auto first = static_cast<int64_t>(entries.size());
  bool fits = mask.dim() >= 1 && first + mask.dim() <= x.dim();
  for (int64_t d = 0; fits && d < mask.dim(); ++d) fits = mask.size(d) == x.size(first + d);
  if (!fits) {
    throw ShapeError(fmt::format("{}: a mask {} at dimension {} of {}; needs the sizes of the dimensions it stands for",
                                 op, to_string(mask.shape()), first, to_string(x.shape())));
  }
  const Tensor places = nonzero(mask);
  for (int64_t d = 0; d < mask.dim(); ++d) entries.push_back(places.select(1, d).contiguous());
}

// The index with negative entries, which count from the back, made positive.
Tensor from_front(const Tensor& index, int64_t size, const char* op) {
  Tensor wrapped = index;
  if (index.dtype() == DType::i32 || index.dtype() == DType::i64) {
    wrapped = map_to<int64_t>(
        index.shape(), [size](int64_t i) { return i < 0 && i >= -size ? i + size : i; }, index.to(DType::i64));
  }
  return checked_index(wrapped, size, op);
}

class Selection {
 public:
  Selection(const Tensor& x, const std::vector<Tensor>& indices, const char* op) {
    std::vector<Tensor> entries;
    for (const Tensor& index : indices) {
      if (index.defined() && index.dtype() == DType::boolean) {
        append_mask(x, index, entries, op);
      } else {
        entries.push_back(index);
      }
    }
    if (static_cast<int64_t>(entries.size()) > x.dim()) {
      throw IndexError(fmt::format("{}: {} indices for shape {}", op, entries.size(), to_string(x.shape())));
    }
    entries.resize(x.shape().size());
    std::vector<int64_t> others;
    for (int64_t d = 0; d < x.dim(); ++d) (entries[d].defined() ? order_ : others).push_back(d);
    if (order_.empty()) throw ValueError(fmt::format("{}: needs an index, a tensor that is defined", op));
    join(x, entries, op);
    for (const int64_t d : others) rest_.push_back(x.size(d));
    if (order_.back() - order_.front() + 1 == static_cast<int64_t>(order_.size())) index_dim_ = order_.front();
    order_.insert(order_.end(), others.begin(), others.end());
  }

  const Tensor& rows() const { return rows_; }  // i64 [n]: which elements of the joined_shapes dimension

  // x as [elements of the indexed dimensions, other dimensions...], and back.
  Tensor fronted(const Tensor& x) const { return reshape(permute(x, order_), joined_shapes({count_}, rest_)); }
  Tensor restored(const Tensor& front, const Tensor& x) const {
    Shape apart;
    std::vector<int64_t> inverse(order_.size());
    for (size_t i = 0; i < order_.size(); ++i) {
      apart.push_back(x.size(order_[i]));
      inverse[order_[i]] = static_cast<int64_t>(i);
    }
    return permute(reshape(front, apart), inverse).contiguous();
  }

  // The selection's shape: the indices' shape replaces the indexed dimensions if these are neighbours, and comes first
  // otherwise.
  Shape shape() const {
    Shape all(rest_.begin(), rest_.begin() + index_dim_);
    all.insert(all.end(), index_shape_.begin(), index_shape_.end());
    all.insert(all.end(), rest_.begin() + index_dim_, rest_.end());
    return all;
  }
  // Rows [n, other dimensions...] as a selection, and back.
  Tensor selected(const Tensor& gathered) const {
    const Tensor apart = reshape(gathered, joined_shapes(index_shape_, rest_));
    return index_dim_ == 0 ? apart : permute(apart, moved(true)).contiguous();
  }
  Tensor as_rows(const Tensor& selection) const {
    const Tensor front = index_dim_ == 0 ? selection : permute(selection, moved(false));
    return reshape(front, joined_shapes({rows_.numel()}, rest_));
  }

 private:
  void join(const Tensor& x, const std::vector<Tensor>& entries, const char* op) {
    for (const int64_t d : order_) index_shape_ = broadcast_shapes(index_shape_, entries[d].shape(), op);
    for (const int64_t d : order_) {
      const Tensor at = from_front(entries[d], x.size(d), op);
      rows_ = rows_.defined() ? add(mul(rows_, static_cast<double>(x.size(d))), at) : at;
      count_ *= x.size(d);
    }
    rows_ = rows_.expand(index_shape_).reshape({numel_of(index_shape_)});
  }

  // The order of dimensions that moves the indices' dimensions from the front to index_dim_, or back.
  std::vector<int64_t> moved(bool in) const {
    const auto many = static_cast<int64_t>(index_shape_.size()), all = many + static_cast<int64_t>(rest_.size());
    std::vector<int64_t> order;
    for (int64_t d = 0; d < all; ++d) {
      if (in) order.push_back(d < index_dim_ ? many + d : d < index_dim_ + many ? d - index_dim_ : d);
      if (!in) order.push_back(d < many ? index_dim_ + d : d < many + index_dim_ ? d - many : d);
    }
    return order;
  }

  std::vector<int64_t> order_;  // the indexed dimensions, then the others
  Tensor rows_;
  Shape index_shape_, rest_;  // the broadcast shape of the indices; the shape of the other dimensions
  int64_t count_ = 1, index_dim_ = 0;
};

}  // namespace

Tensor index(const Tensor& x, const std::vector<Tensor>& indices) {
  const Selection selection(x, indices, "index");
  return selection.selected(index_select(selection.fronted(x), 0, selection.rows()));
}

Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& values, bool accumulate) {
  constexpr const char* op = "index_put";
  check_same_dtype(x, values, op);
  const Selection selection(x, indices, op);
  const Shape shape = selection.shape();
  if (broadcast_shapes(values.shape(), shape, op) != shape) {
    throw ShapeError(fmt::format("{}: values {} do not broadcast to the {} that the indices select of {}", op,
                                 to_string(values.shape()), to_string(shape), to_string(x.shape())));
  }
  const Tensor rows = selection.as_rows(expand(values, shape)), base = selection.fronted(x);
  const auto placed =
      accumulate ? index_add(base, 0, selection.rows(), rows) : index_copy(base, 0, selection.rows(), rows);
  return selection.restored(placed, x);
}

Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, Scalar value, bool accumulate) {
  const Tensor values = accumulate ? operand_like(x, value, "index_put") : stored_scalar(value, x.dtype(), "index_put");
  return index_put(x, indices, values, accumulate);
}

}  // namespace qing
