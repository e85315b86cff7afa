#include <fmt/format.h>

#include <algorithm>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/recurrent.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/elementwise.h>

namespace qing {
namespace {

void check(const std::vector<Tensor>& parts, const std::vector<Tensor>& rows, int64_t count) {
  if (parts.empty() || parts.size() != rows.size()) {
    throw ValueError(fmt::format("merge_rows: {} parts and {} lists of rows", parts.size(), rows.size()));
  }
  std::vector<bool> filled(static_cast<size_t>(count), false);
  int64_t total = 0;
  for (size_t t = 0; t < parts.size(); ++t) {
    check_same_dtype(parts[0], parts[t], "merge_rows");
    if (parts[t].dim() != 2 || parts[t].size(1) != parts[0].size(1) || rows[t].shape() != Shape{parts[t].size(0)}) {
      throw ShapeError(fmt::format("merge_rows: part {} is {} with rows {}; needs [n, {}] and [n]", t,
                                   to_string(parts[t].shape()), to_string(rows[t].shape()),
                                   to_string(parts[0].shape())));
    }
    for (const int64_t row : rows[t].span<int64_t>()) {
      if (row < 0 || row >= count || filled[static_cast<size_t>(row)]) {
        throw ValueError(fmt::format("merge_rows: row {} of {} is outside or comes twice", row, count));
      }
      filled[static_cast<size_t>(row)] = true;
    }
    total += parts[t].size(0);
  }
  if (total != count) throw ValueError(fmt::format("merge_rows: {} rows for a result of {}", total, count));
}

}  // namespace

Tensor merge_rows(const std::vector<Tensor>& parts, const std::vector<Tensor>& rows, int64_t count) {
  check(parts, rows, count);
  const int64_t width = parts[0].size(1);
  Tensor y = Tensor::empty({count, width}, parts[0].dtype());
  dispatch_floating(y.dtype(), "merge_rows", [&](auto zero) {
    using T = decltype(zero);
    for (size_t t = 0; t < parts.size(); ++t) {
      const Tensor part = parts[t].alias().contiguous();
      const T* from = part.data<T>();
      for (const int64_t row : rows[t].span<int64_t>()) {
        std::copy_n(from, width, y.data<T>() + row * width);
        from += width;
      }
    }
  });
  if (recording(parts)) {
    record("merge_rows", y, parts, [rows, width](const Tensor& dy, GradSink& grad) {
      for (size_t t = 0; t < rows.size(); ++t) {
        if (!grad.needs(t)) continue;
        Tensor part = Tensor::empty({rows[t].numel(), width}, dy.dtype());
        dispatch_floating(dy.dtype(), "merge_rows", [&](auto zero) {
          using T = decltype(zero);
          T* to = part.data<T>();
          for (const int64_t row : rows[t].span<int64_t>()) {
            to = std::copy_n(dy.data<T>() + row * width, width, to);
          }
        });
        grad.add(t, part);
      }
    });
  }
  return y;
}

}  // namespace qing
