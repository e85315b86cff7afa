// Rows of a table by id.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/gather_detail.h>
#include <qing/autograd/ops/indexing.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/index_elements.h>

namespace qing {
namespace {

int64_t entries_of(const Tensor& weight, const char* op) {
  if (weight.dim() != 2) {
    throw ShapeError(fmt::format("{}: the weight is [entries, width], got {}", op, to_string(weight.shape())));
  }
  return weight.size(0);
}

// Positions of the ids that are not `padding`.
Tensor positions_without(const Tensor& ids, int64_t padding) {
  std::vector<int64_t> positions;
  const int64_t* id = ids.data<int64_t>();
  for (int64_t i = 0; i < ids.numel(); ++i) {
    if (id[i] != padding) positions.push_back(i);
  }
  return vector_of(positions);
}

}  // namespace

Tensor embedding(const Tensor& weight, const Tensor& ids, int64_t padding_idx) {
  const int64_t entries = entries_of(weight, "embedding"), width = weight.size(1);
  const Tensor which = checked_index(ids, entries, "embedding");
  const Tensor flat = which.reshape({-1});
  Shape shape = ids.shape();
  shape.push_back(width);
  Tensor y = take_rows(weight.alias(), 0, flat).reshape(shape);
  if (recording({weight})) {
    record("embedding", y, {weight}, [width, padding_idx, flat = Saved(flat)](const Tensor& dy, GradSink& grad) {
      Tensor to = flat.get(grad), rows = dy.reshape({to.numel(), width});
      if (padding_idx >= 0) {
        const Tensor kept = positions_without(to, padding_idx);
        rows = index_select(rows, 0, kept);
        to = index_select(to, 0, kept);
      }
      grad.add_rows(0, to, rows);
    });
  }
  return y;
}

namespace {

// The ids of all bags, concatenated, without padding.
struct Bags {
  std::vector<int64_t> row, position, bag;  // of each id: the row in the table, the position in `ids`, the bag
  std::vector<int64_t> end;                 // of each bag: the number of ids up to its last one
};

Bags bags_of(const Tensor& ids, const Tensor& offsets, int64_t padding_idx) {
  const int64_t count = ids.numel(), bags = offsets.numel();
  const int64_t *id = ids.data<int64_t>(), *start = offsets.data<int64_t>();
  if ((bags > 0 && start[0] != 0) || (bags == 0 && count > 0) || !std::is_sorted(start, start + bags)) {
    throw ValueError("embedding_bag: offsets " + to_string(offsets) + " do not ascend from 0");
  }
  Bags found;
  for (int64_t b = 0; b < bags; ++b) {
    for (int64_t i = start[b]; i < (b + 1 < bags ? start[b + 1] : count); ++i) {
      if (id[i] == padding_idx) continue;
      found.row.push_back(id[i]);
      found.position.push_back(i);
      found.bag.push_back(b);
    }
    found.end.push_back(static_cast<int64_t>(found.row.size()));
  }
  return found;
}

// Finds each column's largest element, the first of equal ones, outside the graph. gather provides the gradient.
Tensor largest_of_bags(const Tensor& weight, const Bags& in) {
  const auto bags = static_cast<int64_t>(in.end.size());
  const int64_t width = weight.size(1);
  if (in.row.empty()) {  // still recorded as a function of the table, with zero gradient
    return index_add(Tensor::zeros({bags, width}, weight.dtype()), 0, vector_of({}), embedding(weight, vector_of({})));
  }
  const Tensor table = weight.alias().contiguous();
  const Tensor best = Tensor::zeros({bags, width}, DType::i64), empty = Tensor::empty({bags, 1}, DType::boolean);
  dispatch_floating(weight.dtype(), "embedding_bag", [&](auto zero) {
    using T = decltype(zero);
    const T* from = table.data<T>();
    for (int64_t b = 0, first = 0; b < bags; first = in.end[b++]) {
      empty.data<bool>()[b] = first == in.end[b];
      int64_t* row = best.data<int64_t>() + b * width;
      for (int64_t i = first; i < in.end[b]; ++i) {
        for (int64_t c = 0; c < width; ++c) {
          if (i == first || from[in.row[i] * width + c] > from[row[c] * width + c]) row[c] = in.row[i];
        }
      }
    }
  });
  return masked_fill(gather(weight, 0, best), empty, 0);
}

// The number of ids in each bag, 1 for an empty bag; [bags, 1].
Tensor sizes(const Bags& in, DType dtype) {
  const auto bags = static_cast<int64_t>(in.end.size());
  const Tensor size = Tensor::empty({bags, 1}, DType::i64);
  for (int64_t b = 0; b < bags; ++b) {
    size.data<int64_t>()[b] = std::max<int64_t>(1, in.end[b] - (b == 0 ? 0 : in.end[b - 1]));
  }
  return size.to(dtype);
}

void check_sample_weights(const Tensor& weights, const Tensor& table, const Tensor& ids, BagMode mode) {
  if (!weights.defined()) return;
  if (mode != BagMode::sum) throw ValueError("embedding_bag: per_sample_weights are only for the mode sum");
  check_same_dtype(table, weights, "embedding_bag");
  if (weights.shape() != ids.shape()) {
    throw ShapeError(fmt::format("embedding_bag: per_sample_weights {} for ids {}; needs the same shape",
                                 to_string(weights.shape()), to_string(ids.shape())));
  }
}

}  // namespace

Tensor embedding_bag(const Tensor& weight, const Tensor& ids, const Tensor& offsets, BagMode mode, int64_t padding_idx,
                     const Tensor& per_sample_weights) {
  const int64_t entries = entries_of(weight, "embedding_bag");
  check_sample_weights(per_sample_weights, weight, ids, mode);
  if (ids.dim() == 2 && !offsets.defined()) {
    const Tensor firsts = mul(Tensor::arange(ids.size(0)), static_cast<double>(ids.size(1)));
    return embedding_bag(weight, ids.reshape({ids.numel()}), firsts, mode, padding_idx,
                         per_sample_weights.defined() ? reshape(per_sample_weights, {ids.numel()}) : Tensor());
  }
  if (ids.dim() != 1 || !offsets.defined() || offsets.dim() != 1) {
    throw ShapeError(
        fmt::format("embedding_bag: ids {} and offsets {}; needs [n] and [bags], or [bags, n] without offsets",
                    to_string(ids.shape()), offsets.defined() ? to_string(offsets.shape()) : "undefined"));
  }
  const Bags in = bags_of(checked_index(ids, entries, "embedding_bag"),
                          checked_index(offsets, ids.numel() + 1, "embedding_bag"), padding_idx);
  if (mode == BagMode::max) return largest_of_bags(weight, in);
  Tensor rows = embedding(weight, vector_of(in.row));
  if (per_sample_weights.defined()) {
    rows = mul(rows, unsqueeze(index_select(per_sample_weights, 0, vector_of(in.position)), 1));
  }
  const Tensor nothing = Tensor::zeros({offsets.numel(), weight.size(1)}, weight.dtype());
  const Tensor sums = index_add(nothing, 0, vector_of(in.bag), rows);
  return mode == BagMode::sum ? sums : div(sums, sizes(in, weight.dtype()));
}

}  // namespace qing
