#include <qing/optim/parallel/partial_gradient.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/tensor/denormals.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>

namespace qing::optim {
namespace {

int64_t row_width(const Tensor& table) { return table.size(0) == 0 ? 0 : table.numel() / table.size(0); }

Shape with_rows(Shape shape, size_t rows) {
  shape[0] = static_cast<int64_t>(rows);
  return shape;
}

// Returns the union of both, with the sums of the rows that both have.
PartialGradient sum_of_rows(const PartialGradient& a, const PartialGradient& b) {
  PartialGradient sum;
  std::ranges::set_union(a.rows, b.rows, std::back_inserter(sum.rows));
  sum.values = Tensor::empty(with_rows(a.values.shape(), sum.rows.size()), a.values.dtype());
  const int64_t width = std::max(row_width(a.values), row_width(b.values));
  const FlushDenormals flush;  // as parallel_for does, so that sums have the same bits on every thread
  dispatch_floating(a.values.dtype(), "sum_of_rows", [&](auto zero) {
    using T = decltype(zero);
    const T* left = a.values.data<T>();
    const T* right = b.values.data<T>();
    T* out = sum.values.data<T>();
    auto l = a.rows.begin(), r = b.rows.begin();
    for (const int64_t row : sum.rows) {
      const bool in_left = l != a.rows.end() && *l == row, in_right = r != b.rows.end() && *r == row;
      if (in_left && in_right) {
        for (int64_t i = 0; i < width; ++i) out[i] = left[i] + right[i];
      } else {
        std::copy_n(in_left ? left : right, width, out);
      }
      if (in_left) ++l, left += width;
      if (in_right) ++r, right += width;
      out += width;
    }
  });
  return sum;
}

}  // namespace

PartialGradient take_partial(const Tensor& parameter) {
  const RowGradient found = row_grad(parameter);
  if (!found.gradient.defined()) return {};
  if (found.rows == nullptr) return {.dense = take_grad(parameter).gradient};
  PartialGradient partial{.rows = *found.rows};
  partial.values = Tensor::empty(with_rows(parameter.shape(), partial.rows.size()), parameter.dtype());
  const int64_t width = row_width(parameter);
  dispatch_floating(parameter.dtype(), "take_partial", [&](auto zero) {
    using T = decltype(zero);
    T* out = partial.values.data<T>();
    for (const int64_t row : partial.rows) { out = std::copy_n(found.gradient.data<T>() + row * width, width, out); }
  });
  zero_grad(parameter);
  return partial;
}

void make_dense(PartialGradient& gradient, const Shape& shape) {
  if (!gradient.by_rows()) return;
  gradient.dense = Tensor::zeros(shape, gradient.values.dtype());
  const int64_t width = row_width(gradient.dense);
  dispatch_floating(gradient.values.dtype(), "make_dense", [&](auto zero) {
    using T = decltype(zero);
    const T* from = gradient.values.data<T>();
    for (const int64_t row : gradient.rows) {
      std::copy_n(from, width, gradient.dense.data<T>() + row * width);
      from += width;
    }
  });
  gradient.rows.clear();
  gradient.values = {};
}

void make_rows(PartialGradient& gradient) {
  if (!gradient.dense.defined()) return;
  gradient.values = std::exchange(gradient.dense, {});
  gradient.rows.resize(static_cast<size_t>(gradient.values.size(0)));
  std::iota(gradient.rows.begin(), gradient.rows.end(), 0);
}

PartialGradient sum_of(PartialGradient left, PartialGradient right) {
  if (!left.present()) return right;
  if (!right.present()) return left;
  if (left.by_rows() && right.by_rows()) return sum_of_rows(left, right);
  if (left.by_rows()) make_dense(left, right.dense.shape());
  if (right.by_rows()) make_dense(right, left.dense.shape());
  add_into(left.dense, right.dense);
  return left;
}

void ChunkSums::add(int chunk, PartialGradient gradient) {
  nodes_.push_back({{chunk, chunk + 1}, std::move(gradient)});
  while (nodes_.size() > 1 && are_halves(nodes_[nodes_.size() - 2].range, nodes_.back().range, chunks_)) {
    SumNode right = std::move(nodes_.back());
    nodes_.pop_back();
    SumNode& left = nodes_.back();
    left.gradient = sum_of(std::move(left.gradient), std::move(right.gradient));
    left.range.last = right.range.last;
  }
}

PartialGradient sum_of_tree(std::vector<SumNode> nodes, int chunks) {
  const auto sum = [&](const auto& self, ChunkRange range) -> PartialGradient {
    const auto found = std::ranges::find(nodes, range, &SumNode::range);
    if (found != nodes.end()) return std::move(found->gradient);
    const int middle = middle_of(range);
    PartialGradient left = self(self, {range.first, middle});
    return sum_of(std::move(left), self(self, {middle, range.last}));
  };
  return sum(sum, {0, chunks});
}

}  // namespace qing::optim
