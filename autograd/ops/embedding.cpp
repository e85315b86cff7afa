// Rows of a table by id.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/indexing.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/indexing.h>

namespace qing {
namespace {

int64_t entries_of(const Tensor& weight, const char* op) {
  if (weight.dim() != 2) {
    throw ShapeError(fmt::format("{}: the weight is [entries, width], got {}", op, to_string(weight.shape())));
  }
  return weight.size(0);
}

Tensor vector_of(const std::vector<int64_t>& values) {
  return Tensor::from<int64_t>(values, {static_cast<int64_t>(values.size())});
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

Tensor embedding_bag(const Tensor& weight, const Tensor& ids, const Tensor& offsets, BagMode mode,
                     int64_t padding_idx) {
  const int64_t entries = entries_of(weight, "embedding_bag");
  if (ids.dim() != 1 || offsets.dim() != 1) {
    throw ShapeError(fmt::format("embedding_bag: ids {} and offsets {}; needs [n] and [bags]", to_string(ids.shape()),
                                 to_string(offsets.shape())));
  }
  const Tensor which = checked_index(ids, entries, "embedding_bag");
  const Tensor starts = checked_index(offsets, ids.numel() + 1, "embedding_bag");
  const int64_t bags = starts.numel(), count = which.numel();
  const int64_t *id = which.data<int64_t>(), *start = starts.data<int64_t>();
  if ((bags > 0 && start[0] != 0) || (bags == 0 && count > 0) || !std::is_sorted(start, start + bags)) {
    throw ValueError("embedding_bag: offsets " + to_string(offsets) + " do not ascend from 0");
  }
  std::vector<int64_t> row, bag;
  Tensor share = Tensor::full({bags, 1}, 1, DType::f64);
  for (int64_t b = 0; b < bags; ++b) {
    const auto before = static_cast<int64_t>(row.size());
    for (int64_t i = start[b]; i < (b + 1 < bags ? start[b + 1] : count); ++i) {
      if (id[i] == padding_idx) continue;
      row.push_back(id[i]);
      bag.push_back(b);
    }
    const auto taken = static_cast<int64_t>(row.size()) - before;
    if (mode == BagMode::mean && taken > 0) share.data<double>()[b] = 1.0 / static_cast<double>(taken);
  }
  const Tensor nothing = Tensor::zeros({bags, weight.size(1)}, weight.dtype());
  const Tensor sums = index_add(nothing, 0, vector_of(bag), index_select(weight, 0, vector_of(row)));
  return mode == BagMode::sum ? sums : mul(sums, share.to(weight.dtype()));
}

}  // namespace qing
