#include <qing/tensor/ops/sort.h>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/lanes.h>
#include <qing/tensor/ops/order.h>

namespace qing {
namespace {

template <class T> struct Entry {
  T value;
  int64_t index;
};

// A strict order of distinct entries: equal values by index.
template <class T> bool comes_first(const Entry<T>& a, const Entry<T>& b, bool descending) {
  if (above(a.value, b.value)) return descending;
  if (above(b.value, a.value)) return !descending;
  return a.index < b.index;
}

Shape shape_with(const Tensor& x, const std::vector<int64_t>& dims, int64_t size) {
  Shape shape = x.shape();
  for (const int64_t d : dims) shape[d] = size;
  return shape;
}

int64_t size_along(const Tensor& x, const std::vector<int64_t>& dims) { return dims.empty() ? 1 : x.size(dims[0]); }

// Fills lanes of `size` values and indices: body(n, lane of x, values, indices, a thread's room for entries).
template <class Body>
ValuesAndIndices for_lanes(const Tensor& x, const std::vector<int64_t>& dims, int64_t size, Body body) {
  const Shape shape = shape_with(x, dims, size);
  ValuesAndIndices result{Tensor::empty(shape, x.dtype()), Tensor::empty(shape, DType::i64)};
  const Lanes from(x.layout(), dims), to(result.values.layout(), dims);
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    parallel_for(from.count(), from.tile(), [&](int64_t begin, int64_t end) {
      LaneReader<T> in(x, from);
      LaneWriter<T> values(result.values, to);
      LaneWriter<int64_t> indices(result.indices, to);
      std::vector<Entry<T>> room;
      for (int64_t lane = begin; lane < end; ++lane) {
        body(from.length(), in.at(lane), values.at(lane), indices.at(lane), room);
      }
    });
  });
  return result;
}

auto ascending() {
  return [](const auto& a, const auto& b) { return comes_first(a, b, false); };
}

// Turns a lane into entries, which arrange(first, last) puts in order. The result is `count` entries from `skip` on.
template <class T, class Arrange>
void arrange_lane(int64_t n, const T* lane, int64_t skip, int64_t count, T* values, int64_t* indices,
                  std::vector<Entry<T>>& entries, Arrange arrange) {
  entries.resize(n);
  for (int64_t i = 0; i < n; ++i) entries[i] = {lane[i], i};
  arrange(entries.data(), entries.data() + n);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = entries[skip + i].value;
    indices[i] = entries[skip + i].index;
  }
}

void check_lane_has_elements(const Tensor& x, const std::vector<int64_t>& dims, const char* op) {
  if (size_along(x, dims) == 0) {
    throw ValueError(
        fmt::format("{}: dimension {} of shape {} has no elements to choose from", op, dims[0], to_string(x.shape())));
  }
}

}  // namespace

ValuesAndIndices sorted_along(const Tensor& x, const std::vector<int64_t>& dims, bool descending) {
  const int64_t size = size_along(x, dims);
  return for_lanes(x, dims, size, [=](int64_t n, const auto* lane, auto* values, int64_t* indices, auto& room) {
    arrange_lane(n, lane, 0, n, values, indices, room, [=](auto* first, auto* last) {
      std::sort(first, last, [=](const auto& a, const auto& b) { return comes_first(a, b, descending); });
    });
  });
}

ValuesAndIndices top_along(const Tensor& x, const std::vector<int64_t>& dims, int64_t k, bool largest) {
  return for_lanes(x, dims, k, [=](int64_t n, const auto* lane, auto* values, int64_t* indices, auto& room) {
    arrange_lane(n, lane, 0, k, values, indices, room, [=](auto* first, auto* last) {
      std::partial_sort(first, first + k, last,
                        [=](const auto& a, const auto& b) { return comes_first(a, b, largest); });
    });
  });
}

ValuesAndIndices ranked_along(const Tensor& x, const std::vector<int64_t>& dims, int64_t rank) {
  return for_lanes(x, dims, 1, [=](int64_t n, const auto* lane, auto* values, int64_t* indices, auto& room) {
    arrange_lane(n, lane, rank, 1, values, indices, room,
                 [=](auto* first, auto* last) { std::nth_element(first, first + rank, last, ascending()); });
  });
}

ValuesAndIndices median_along(const Tensor& x, const std::vector<int64_t>& dims, const char* op) {
  check_lane_has_elements(x, dims, op);
  return for_lanes(x, dims, 1, [](int64_t n, const auto* lane, auto* values, int64_t* indices, auto& room) {
    const auto* nan = std::find_if(lane, lane + n, [](auto v) { return is_nan(v); });
    if (nan != lane + n) {
      *values = *nan;
      *indices = nan - lane;
      return;
    }
    arrange_lane(n, lane, (n - 1) / 2, 1, values, indices, room,
                 [n](auto* first, auto* last) { std::nth_element(first, first + (n - 1) / 2, last, ascending()); });
  });
}

ValuesAndIndices extreme_along(const Tensor& x, const std::vector<int64_t>& dims, bool largest, const char* op) {
  check_lane_has_elements(x, dims, op);
  return for_lanes(x, dims, 1, [largest](int64_t n, const auto* lane, auto* values, int64_t* indices, auto&) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; ++i) {
      if (more_extreme(lane[i], lane[best], largest)) best = i;
    }
    *values = lane[best];
    *indices = best;
  });
}

ValuesAndIndices running_extreme(const Tensor& x, const std::vector<int64_t>& dims, bool largest) {
  const int64_t size = size_along(x, dims);
  return for_lanes(x, dims, size, [largest](int64_t n, const auto* lane, auto* values, int64_t* indices, auto&) {
    int64_t best = 0;
    for (int64_t i = 0; i < n; ++i) {
      if (!more_extreme(lane[best], lane[i], largest)) best = i;
      values[i] = lane[best];
      indices[i] = best;
    }
  });
}

}  // namespace qing
