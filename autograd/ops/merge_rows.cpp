#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/recurrent.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>

namespace qing {
namespace {

void check(const std::vector<Tensor>& parts, const std::vector<Tensor>& rows, int64_t count) {
  if (parts.empty() || parts.size() != rows.size()) {
    throw ValueError(fmt::format("merge_rows: {} parts and {} lists of rows", parts.size(), rows.size()));
  }
  if (parts[0].dim() != 2) {
    throw ShapeError(fmt::format("merge_rows: part 0 is {}, not a matrix", to_string(parts[0].shape())));
  }
  int64_t total = 0;
  for (const Tensor& part : parts) total += part.dim() == 2 ? part.size(0) : 0;
  if (total != count) throw ValueError(fmt::format("merge_rows: {} rows for a result of {}", total, count));
  std::vector<bool> filled(static_cast<size_t>(count), false);
  for (size_t t = 0; t < parts.size(); ++t) {
    check_same_dtype(parts[0], parts[t], "merge_rows");
    if (parts[t].dim() != 2 || parts[t].size(1) != parts[0].size(1) || rows[t].shape() != Shape{parts[t].size(0)}) {
      throw ShapeError(fmt::format("merge_rows: part {} is {} with rows {}; needs [n, {}] and [n]", t,
                                   to_string(parts[t].shape()), to_string(rows[t].shape()), parts[0].size(1)));
    }
    for (const int64_t row : rows[t].span<int64_t>()) {
      if (row < 0 || row >= count || filled[static_cast<size_t>(row)]) {
        throw ValueError(fmt::format("merge_rows: row {} of {} is outside or comes twice", row, count));
      }
      filled[static_cast<size_t>(row)] = true;
    }
  }
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
    std::vector<Saved> saved(rows.begin(), rows.end());
    record("merge_rows", y, parts, [saved = std::move(saved), width](const Tensor& dy, GradSink& grad) {
      for (size_t t = 0; t < saved.size(); ++t) {
        if (!grad.needs(t)) continue;
        const Tensor& rows = saved[t].get(grad);
        Tensor part = Tensor::empty({rows.numel(), width}, dy.dtype());
        dispatch_floating(dy.dtype(), "merge_rows", [&](auto zero) {
          using T = decltype(zero);
          T* to = part.data<T>();
          for (const int64_t row : rows.span<int64_t>()) { to = std::copy_n(dy.data<T>() + row * width, width, to); }
        });
        grad.add(t, part);
      }
    });
  }
  return y;
}

}  // namespace qing
