// Most of these select indices along a dimension; index_select provides the gradient.
#include <qing/autograd/ops/rearrange.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/indexing.h>
#include <qing/autograd/ops/views.h>
#include <qing/autograd/ops/views_detail.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/lanes.h>
#include <qing/tensor/scalar_rules.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// x[.., at(i), ..] for i < count along `dim`.
template <class At> Tensor choose(const Tensor& x, int64_t dim, int64_t count, At at) {
  Tensor index = Tensor::empty({count}, DType::i64);
  for (int64_t i = 0; i < count; ++i) index.data<int64_t>()[i] = at(i);
  return index_select(x, dim, index);
}

// a mod n in [0, n).
int64_t modulo(int64_t a, int64_t n) { return (a % n + n) % n; }

}  // namespace

namespace {

int64_t times(int64_t size, int64_t repeats, const char* op) {
  int64_t product = 0;
  if (__builtin_mul_overflow(size, repeats, &product)) {
    throw ValueError(fmt::format("{}: {} elements {} times are more than 64 bits count", op, size, repeats));
  }
  return product;
}

}  // namespace

Tensor repeat(const Tensor& x, const std::vector<int64_t>& repeats) {
  const auto rank = static_cast<int64_t>(repeats.size());
  if (rank < x.dim() || std::any_of(repeats.begin(), repeats.end(), [](int64_t n) { return n < 0; })) {
    throw ShapeError(fmt::format("repeat: counts {} for shape {}; needs one of at least 0 for each dimension",
                                 to_string(repeats), to_string(x.shape())));
  }
  // [a, b] is read as [1, a, 1, b], expanded to [r, a, s, b], and joined to [r·a, s·b].
  Shape apart, spread, joined;
  for (int64_t d = 0; d < rank; ++d) {
    const int64_t own = d - (rank - x.dim()), size = own < 0 ? 1 : x.size(own);
    apart.insert(apart.end(), {1, size});
    spread.insert(spread.end(), {repeats[d], size});
    joined.push_back(times(size, repeats[d], "repeat"));
  }
  const Tensor whole = reshape(expand(reshape(x, apart), spread), joined);
  return whole.shares_storage(x) ? clone(whole) : whole;
}

Tensor tile(const Tensor& x, const std::vector<int64_t>& repeats) {
  std::vector<int64_t> all = repeats;
  while (static_cast<int64_t>(all.size()) < x.dim()) all.insert(all.begin(), 1);
  return repeat(x, all);
}

Tensor repeat_interleave(const Tensor& x, int64_t repeats, int64_t dim) {
  if (repeats < 0) throw ValueError(fmt::format("repeat_interleave: {} repeats", repeats));
  const int64_t d = wrap_dim(dim, x.dim(), "repeat_interleave");
  return choose(x, d, times(x.size(d), repeats, "repeat_interleave"), [=](int64_t i) { return i / repeats; });
}

Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, int64_t dim) {
  const int64_t d = wrap_dim(dim, x.dim(), "repeat_interleave");
  dispatch_index(repeats.dtype(), "repeat_interleave", [](auto) {});
  if (repeats.shape() != Shape{x.size(d)}) {
    throw ShapeError(fmt::format("repeat_interleave: repeats of shape {} for dimension {} of {}",
                                 to_string(repeats.shape()), d, to_string(x.shape())));
  }
  const Tensor counts = repeats.to(DType::i64).contiguous();
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < x.size(d); ++i) {
    const int64_t count = counts.data<int64_t>()[i];
    if (count < 0) throw ValueError(fmt::format("repeat_interleave: {} repeats at position {}", count, i));
    rows.insert(rows.end(), static_cast<size_t>(count), i);
  }
  return choose(x, d, static_cast<int64_t>(rows.size()), [&](int64_t i) { return rows[i]; });
}

Tensor flip(const Tensor& x, const std::vector<int64_t>& dims) {
  const auto over = dims.empty() ? dims : resolve_dims(dims, x.dim(), "flip");
  if (over.empty()) return clone(x);
  Tensor y = x;
  for (const int64_t d : over) y = choose(y, d, x.size(d), [last = x.size(d) - 1](int64_t i) { return last - i; });
  return y;
}

Tensor roll(const Tensor& x, const std::vector<int64_t>& shifts, const std::vector<int64_t>& dims) {
  if (shifts.size() != dims.size() || shifts.empty()) {
    throw ValueError(fmt::format("roll: {} shifts for {} dimensions", shifts.size(), dims.size()));
  }
  Tensor y = x;
  for (size_t k = 0; k < dims.size(); ++k) {
    const int64_t d = wrap_dim(dims[k], x.dim(), "roll"), size = x.size(d);
    const int64_t shift = size == 0 ? 0 : modulo(shifts[k], size);
    y = choose(y, d, size, [=](int64_t i) { return modulo(i - shift, size); });
  }
  return y;
}

namespace {

// Keeps the columns of row i from i + diagonal on (upper) or up to it (lower).
Tensor triangle(OpName op, const Tensor& x, int64_t diagonal, bool upper) {
  if (x.dim() < 2) throw ShapeError(fmt::format("{}: needs two dimensions, got {}", op.c_str(), to_string(x.shape())));
  Tensor y = x.alias().clone();
  const int64_t rows = x.size(-2), columns = x.size(-1);
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = y.data<T>();
    parallel_for(columns == 0 ? 0 : y.numel() / columns, 64, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t row = r % rows;
        // Does not overflow for any diagonal.
        const int64_t edge = diagonal >= columns ? columns : diagonal <= -rows ? -1 : row + diagonal;
        const int64_t kept_from = upper ? edge : 0, kept_to = upper ? columns : std::min(columns, edge + 1);
        T* line = out + r * columns;
        std::fill(line, line + std::clamp<int64_t>(kept_from, 0, columns), T{});
        std::fill(line + std::clamp<int64_t>(kept_to, 0, columns), line + columns, T{});
      }
    });
  });
  if (recording({x})) {
    record(op, y, {x}, [=](const Tensor& dy, GradSink& grad) { grad.add(0, triangle(op, dy, diagonal, upper)); });
  }
  return y;
}

}  // namespace

Tensor tril(const Tensor& x, int64_t diagonal) { return triangle("tril", x, diagonal, false); }
Tensor triu(const Tensor& x, int64_t diagonal) { return triangle("triu", x, diagonal, true); }

Tensor diag_embed(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  if (x.dim() == 0) throw ShapeError("diag_embed: needs a dimension to place, got shape []");
  const int64_t rank = x.dim() + 1;
  const int64_t first = wrap_dim(dim1, rank, "diag_embed"), second = wrap_dim(dim2, rank, "diag_embed");
  if (first == second) throw ValueError(fmt::format("diag_embed: both dimensions are {}", first));
  constexpr int64_t kMost = int64_t{1} << 60;  // sums of sizes stay within 64 bits
  if (offset < -kMost || offset > kMost) throw ValueError(fmt::format("diag_embed: offset {} is out of range", offset));
  const int64_t size = x.size(-1) + std::abs(offset);
  Shape shape(x.shape().begin(), x.shape().end() - 1);
  for (const int64_t d : {std::min(first, second), std::max(first, second)}) shape.insert(shape.begin() + d, size);
  return place("diag_embed", x, shape, [=](const Tensor& whole) { return whole.diagonal(offset, first, second); });
}

Tensor diag(const Tensor& x, int64_t diagonal) {
  if (x.dim() == 1) return diag_embed(x, diagonal);
  if (x.dim() == 2) return clone(x.diagonal(diagonal));
  throw ShapeError(fmt::format("diag: {}; needs a vector or a matrix, see diagonal and diag_embed for others",
                               to_string(x.shape())));
}

namespace {

struct Edge {
  int64_t dim, before, after;
};

std::vector<Edge> edges_of(const Tensor& x, const std::vector<int64_t>& padding) {
  const auto given = static_cast<int64_t>(padding.size());
  if (given % 2 != 0 || given / 2 > x.dim()) {
    throw ShapeError(fmt::format("pad: {} for shape {}; needs two numbers for each of the last dimensions",
                                 to_string(padding), to_string(x.shape())));
  }
  constexpr int64_t kMost = int64_t{1} << 60;  // sums of sizes stay within 64 bits
  for (const int64_t edge : padding) {
    if (edge < -kMost || edge > kMost) throw ValueError(fmt::format("pad: {} is out of range", edge));
  }
  std::vector<Edge> edges;
  for (int64_t k = 0; k < given / 2; ++k) edges.push_back({x.dim() - 1 - k, padding[2 * k], padding[2 * k + 1]});
  return edges;
}

Tensor pad_with(const Tensor& x, const std::vector<Edge>& edges, const Scalar& value) {
  Shape shape = x.shape();
  // The part of x that the result keeps, and its place in the result. Negative padding crops.
  std::vector<int64_t> to(shape.size(), 0), from(shape.size(), 0), size = shape;
  for (const Edge& edge : edges) {
    const int64_t d = edge.dim;
    shape[d] = x.size(d) + edge.before + edge.after;
    if (shape[d] < 0) {
      throw ShapeError(fmt::format("pad: {} and {} crop more than the size of dimension {} of {}", edge.before,
                                   edge.after, d, to_string(x.shape())));
    }
    to[d] = std::max<int64_t>(edge.before, 0);
    from[d] = std::max<int64_t>(-edge.before, 0);
    size[d] = std::max<int64_t>(0, x.size(d) - from[d] - std::max<int64_t>(-edge.after, 0));
  }
  const auto part_at = [size](Tensor whole, const std::vector<int64_t>& start) {
    for (size_t d = 0; d < size.size(); ++d) {
      whole = slice(whole, static_cast<int64_t>(d), start[d], start[d] + size[d]);
    }
    return whole;
  };
  Tensor y = Tensor::empty(shape, x.dtype());
  fill_with(y, value, "pad");
  part_at(y, to).copy_from(part_at(x.alias(), from));
  if (recording({x})) {
    std::vector<Edge> undone;
    undone.reserve(edges.size());
    for (const Edge& edge : edges) undone.push_back({edge.dim, -edge.before, -edge.after});
    record("pad", y, {x}, [undone](const Tensor& dy, GradSink& grad) { grad.add(0, pad_with(dy, undone, 0)); });
  }
  return y;
}

// The position in the dimension that position i, possibly outside, reflects to.
int64_t reflected(int64_t i, int64_t size) {
  if (i < 0) return -i;
  return i < size ? i : 2 * (size - 1) - i;
}

}  // namespace

Tensor pad(const Tensor& x, const std::vector<int64_t>& padding, PadMode mode, Scalar value) {
  const std::vector<Edge> edges = edges_of(x, padding);
  if (mode == PadMode::constant) return pad_with(x, edges, value);
  Tensor y = x;
  for (const auto& [dim, before, after] : edges) {
    const int64_t size = x.size(dim), most = mode == PadMode::reflect ? size - 1 : size;
    const bool fits = mode == PadMode::replicate ? size > 0 : before <= most && after <= most;
    if (before < 0 || after < 0 || !fits) {
      throw ValueError(fmt::format("pad: {} and {} at dimension {} of {} in this mode; at least 0, and {}", before,
                                   after, dim, to_string(x.shape()),
                                   mode == PadMode::reflect    ? "less than the size"
                                   : mode == PadMode::circular ? "at most the size"
                                                               : "only of elements that there are"));
    }
    y = choose(y, dim, before + size + after, [=, before = before](int64_t place) {
      const int64_t i = place - before;
      if (mode == PadMode::reflect) return reflected(i, size);
      if (mode == PadMode::circular) return modulo(i, size);
      return std::clamp<int64_t>(i, 0, size - 1);
    });
  }
  return edges.empty() ? clone(x) : y;
}

}  // namespace qing
