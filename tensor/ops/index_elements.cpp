#include <qing/tensor/ops/index_elements.h>

#include <fmt/format.h>

#include <algorithm>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/lanes.h>
#include <qing/tensor/ops/order.h>

namespace qing {
namespace {

constexpr int64_t kIndexGrain = 16384;  // elements a thread takes at a time
constexpr int64_t kOwnedColumns = 64;   // adjacent elements owned by one thread when rows are added
constexpr int64_t kTogether = 32;       // lanes walked together, so that each cache line is used whole

// a + b in the type's own arithmetic: integers wrap, bool is "or".
template <class T> T sum_of_two(T a, T b) {
  if constexpr (is_short_float<T>) {
    return convert<T>(to_float(a) + to_float(b));
  } else if constexpr (std::is_same_v<T, bool>) {
    return a || b;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  } else {
    return a + b;
  }
}

// Whether `from` replaces `to` as the larger (or smaller) of both.
template <class T> bool beats(T from, T to, bool larger) {
  if constexpr (is_short_float<T>) {
    return beats(to_float(from), to_float(to), larger);
  } else {
    return to == to && !(larger ? from <= to : from >= to);
  }
}

template <class T> void place(T& to, T from, Placing placing) {
  to = placing == Placing::add ? sum_of_two(to, from) : from;
}

struct IndexBlocks {
  int64_t outer, inner;
};
IndexBlocks blocks_around(const Tensor& x, int64_t dim) {
  const auto& shape = x.shape();
  return {numel_of(Shape(shape.begin(), shape.begin() + dim)), numel_of(Shape(shape.begin() + dim + 1, shape.end()))};
}

Shape with_size(Shape shape, int64_t dim, int64_t size) {
  shape[dim] = size;
  return shape;
}

// Calls visit(position in index, position in x without `dim`) for the elements of `index`. Elements that differ only
// along `dim` are visited by one thread, in order.
template <class Visit> void for_each_index(const Tensor& index, const Layout& x, int64_t dim, Visit visit) {
  Layout shared = x;
  for (int64_t d = 0; d < index.dim(); ++d) shared.sizes[d] = index.size(d);
  const Lanes lanes(index.layout(), {dim}), others(shared, {dim});
  const int64_t step = index.strides()[dim];
  parallel_for(lanes.count(), std::max<int64_t>(1, kIndexGrain / std::max<int64_t>(1, lanes.length())),
               [&](int64_t begin, int64_t end) {
                 for (int64_t first = begin; first < end; first += kTogether) {
                   const int64_t count = std::min(kTogether, end - first);
                   int64_t at[kTogether], base[kTogether];
                   for (int64_t l = 0; l < count; ++l) {
                     at[l] = lanes.position(first + l);
                     base[l] = others.position(first + l);
                   }
                   for (int64_t j = 0; j < lanes.length(); ++j) {
                     for (int64_t l = 0; l < count; ++l) visit(at[l] + j * step, base[l]);
                   }
                 }
               });
}

std::string position_of(int64_t linear, const Shape& shape) {
  Shape position(shape.size());
  for (size_t d = shape.size(); d-- > 0;) {
    position[d] = linear % shape[d];
    linear /= shape[d];
  }
  return to_string(position);
}

}  // namespace

Tensor checked_index(const Tensor& index, int64_t size, const char* op) {
  dispatch_index(index.dtype(), op, [](auto) {});
  Tensor checked = index.alias().to(DType::i64).contiguous();
  const int64_t* at = checked.data<int64_t>();
  for (int64_t i = 0, n = checked.numel(); i < n; ++i) {
    if (at[i] < 0 || at[i] >= size) {
      throw IndexError(fmt::format("{}: index {} at position {} is outside [0, {})", op, at[i],
                                   position_of(i, index.shape()), size));
    }
  }
  return checked;
}

Tensor take_rows(const Tensor& x, int64_t dim, const Tensor& index) {
  const Tensor from = x.contiguous();
  const int64_t rows = index.numel(), size = x.size(dim);
  const auto [outer, inner] = blocks_around(x, dim);
  Tensor y = Tensor::empty(with_size(x.shape(), dim, rows), x.dtype());
  const int64_t* which = index.data<int64_t>();
  const int64_t grain = std::max<int64_t>(1, kIndexGrain / std::max<int64_t>(1, inner));
  dispatch_all(x.dtype(), [&, inner = inner, outer = outer](auto zero) {
    using T = decltype(zero);
    const T* in = from.data<T>();
    T* out = y.data<T>();
    parallel_for(outer * rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        std::copy_n(in + (r / rows * size + which[r % rows]) * inner, inner, out + r * inner);
      }
    });
  });
  return y;
}

void place_rows(const Tensor& y, int64_t dim, const Tensor& index, const Tensor& x, Placing placing) {
  const Tensor from = x.contiguous();
  const int64_t rows = index.numel(), size = y.size(dim);
  const auto [outer, inner] = blocks_around(y, dim);
  const int64_t* which = index.data<int64_t>();
  const int64_t strips = (inner + kOwnedColumns - 1) / kOwnedColumns;
  const int64_t grain = std::max<int64_t>(1, kIndexGrain / std::max<int64_t>(1, rows * std::min(inner, kOwnedColumns)));
  dispatch_all(y.dtype(), [&, inner = inner, outer = outer](auto zero) {
    using T = decltype(zero);
    const T* in = from.data<T>();
    T* out = y.data<T>();
    parallel_for(outer * strips, grain, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t o = task / strips, first = task % strips * kOwnedColumns,
                      last = std::min(inner, first + kOwnedColumns);
        for (int64_t j = 0; j < rows; ++j) {
          const T* source = in + (o * rows + j) * inner;
          T* target = out + (o * size + which[j]) * inner;
          for (int64_t c = first; c < last; ++c) place(target[c], source[c], placing);
        }
      }
    });
  });
}

Tensor gather_elements(const Tensor& x, int64_t dim, const Tensor& index) {
  Tensor y = Tensor::empty(index.shape(), x.dtype());
  const int64_t step = x.strides()[dim];
  const int64_t* which = index.data<int64_t>();
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>();
    T* out = y.data<T>();
    for_each_index(index, x.layout(), dim, [=](int64_t at, int64_t base) { out[at] = in[base + which[at] * step]; });
  });
  return y;
}

void scatter_elements(const Tensor& y, int64_t dim, const Tensor& index, const Tensor& x, Placing placing) {
  const Tensor from = x.contiguous();
  const int64_t step = y.strides()[dim];
  const int64_t* which = index.data<int64_t>();
  dispatch_all(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* in = from.data<T>();
    T* out = y.data<T>();
    const auto run = [&](auto join) {
      for_each_index(index, y.layout(), dim, [=](int64_t at, int64_t base) {
        T& to = out[base + which[at] * step];
        to = join(to, in[at]);
      });
    };
    switch (placing) {
      case Placing::overwrite: return run([](T, T from) { return from; });
      case Placing::add: return run([](T to, T from) { return sum_of_two(to, from); });
      case Placing::larger: return run([](T to, T from) { return beats(from, to, true) ? from : to; });
      case Placing::smaller: return run([](T to, T from) { return beats(from, to, false) ? from : to; });
    }
  });
}

}  // namespace qing
