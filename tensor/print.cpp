// Tensors as text in PyTorch's format (torch/_tensor_str documents the same rules as torch.set_printoptions).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <type_traits>

#include <qing/tensor/convert.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/tensor.h>

namespace qing {
namespace {

constexpr int64_t kThreshold = 1000;  // elements; with more, long dimensions are elided
constexpr int64_t kEdge = 3;          // items kept at either end of a long dimension
constexpr int64_t kLineWidth = 80;

// Calls item(i) for the shown positions of a dimension, and gap() where some are left out.
template <class Item, class Gap> void for_each_shown(int64_t size, bool elide, Item item, Gap gap) {
  if (!elide || size <= 2 * kEdge) {
    for (int64_t i = 0; i < size; ++i) item(i);
    return;
  }
  for (int64_t i = 0; i < kEdge; ++i) item(i);
  gap();
  for (int64_t i = size - kEdge; i < size; ++i) item(i);
}

// The shown values in row-major order.
template <class T, class Value>
void collect(const Tensor& tensor, int64_t dim, int64_t offset, bool elide, std::vector<Value>& values) {
  if (dim == tensor.dim()) {
    values.push_back(convert<Value>(tensor.data<T>()[offset]));
    return;
  }
  for_each_shown(
      tensor.shape()[dim], elide,
      [&](int64_t i) { collect<T>(tensor, dim + 1, offset + i * tensor.strides()[dim], elide, values); }, [] {});
}

// Whole numbers get a bare point. Numbers of very different or extreme magnitudes get exponents. Others get four
// decimals.
std::vector<std::string> format_floats(const std::vector<double>& values) {
  double smallest = INFINITY, largest = 0;
  bool whole = true;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    whole = whole && value == std::trunc(value);
    if (value == 0) continue;
    smallest = std::min(smallest, std::fabs(value));
    largest = std::max(largest, std::fabs(value));
  }
  const bool exponents = largest > 0 && (largest > smallest * 1000 || largest > 1e8 || (!whole && smallest < 1e-4));
  std::vector<std::string> cells;
  for (const double value : values) {
    if (!std::isfinite(value)) {
      cells.push_back(fmt::format("{}", value));
    } else if (exponents) {
      cells.push_back(fmt::format("{:.4e}", value));
    } else {
      cells.push_back(whole ? fmt::format("{:.0f}.", value) : fmt::format("{:.4f}", value));
    }
  }
  return cells;
}

std::vector<std::string> cells_of(const Tensor& tensor, bool elide) {
  std::vector<std::string> cells = dispatch_all(tensor.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using Value = std::conditional_t<std::is_integral_v<T>, int64_t, double>;
    std::vector<Value> values;
    collect<T>(tensor, 0, 0, elide, values);
    if constexpr (std::is_same_v<Value, double>) {
      return format_floats(values);
    } else {
      std::vector<std::string> texts;
      texts.reserve(values.size());
      for (const int64_t value : values) {
        texts.push_back(std::is_same_v<T, bool> ? (value != 0 ? "True" : "False") : std::to_string(value));
      }
      return texts;
    }
  });
  size_t width = 0;
  for (const std::string& cell : cells) width = std::max(width, cell.size());
  for (std::string& cell : cells) cell.insert(0, width - cell.size(), ' ');
  return cells;
}

class Printer {
 public:
  Printer(const Shape& shape, bool elide, std::vector<std::string> cells)
      : shape_(shape), elide_(elide), cells_(std::move(cells)) {}

  std::string text() {
    block(0);
    return std::move(out_);
  }

 private:
  void block(size_t dim) {
    if (dim == shape_.size()) {
      out_ += cells_[next_++];
      return;
    }
    out_ += '[';
    bool first = true;
    int64_t column = 0;
    const auto separate = [&] {
      if (!first) separator(dim, column);
      first = false;
      ++column;
    };
    const auto item = [&](int64_t) { separate(), block(dim + 1); };
    const auto gap = [&] { separate(), out_ += "..."; };
    for_each_shown(shape_[dim], elide_, item, gap);
    out_ += ']';
  }

  // The text between two items of `dim`. Cells share lines. Blocks begin new lines, with one blank line for each
  // further dimension.
  void separator(size_t dim, int64_t column) {
    const size_t below = shape_.size() - 1 - dim;
    if (below == 0) {
      const auto indent = static_cast<int64_t>(dim) + 1, width = static_cast<int64_t>(cells_.front().size()) + 2;
      const bool full = column % std::max<int64_t>(1, (kLineWidth - indent) / width) == 0;
      out_ += full ? ",\n" + std::string(dim + 1, ' ') : ", ";
    } else {
      out_ += ',' + std::string(below, '\n') + std::string(dim + 1, ' ');
    }
  }

  const Shape& shape_;
  bool elide_;
  std::vector<std::string> cells_;
  size_t next_ = 0;
  std::string out_;
};

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) return "Tensor undefined";
  const std::string head = fmt::format("Tensor {} {}\n", name_of(tensor.dtype()), to_string(tensor.shape()));
  if (tensor.numel() == 0) return head + "[]";
  const bool elide = tensor.numel() > kThreshold;
  return head + Printer(tensor.shape(), elide, cells_of(tensor, elide)).text();
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) { return out << to_string(tensor); }

}  // namespace qing
