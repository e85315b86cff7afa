#include <qing/tensor/strided.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <qing/tensor/denormals.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kGrain = 16384;  // elements
constexpr int64_t kTile = 32;      // a side: 32 lines of 128 bytes of f32 fit L1
constexpr int64_t kTilesAGrain = kGrain / (kTile * kTile);
constexpr int64_t kBlock = 64;  // the side of a transposed block

using Steps = std::array<int64_t, kMaxOperands>;

struct Dim {
  int64_t size;
  Steps step;
};

bool lies_densely_in(const Dim& inner, const Dim& outer) {
  for (size_t k = 0; k < kMaxOperands; ++k) {
    if (outer.step[k] != inner.step[k] * inner.size) return false;
  }
  return true;
}

std::vector<Dim> simplify(const Shape& shape, std::initializer_list<const Strides*> operands) {
  std::vector<Dim> dims;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    Dim dim{shape[d], {}};
    size_t k = 0;
    for (const Strides* strides : operands) dim.step[k++] = (*strides)[d];
    dims.push_back(dim);
  }
  std::stable_sort(dims.begin(), dims.end(),
                   [](const Dim& a, const Dim& b) { return std::abs(a.step[0]) > std::abs(b.step[0]); });
  std::vector<Dim> merged;
  for (const Dim& dim : dims) {
    if (!merged.empty() && lies_densely_in(dim, merged.back())) {
      merged.back() = {merged.back().size * dim.size, dim.step};
    } else {
      merged.push_back(dim);
    }
  }
  if (merged.empty()) merged.push_back({1, {}});
  return merged;
}

// If an operand is dense along a dimension other than the last, moves that dimension next to the last. False if there
// is none.
bool find_tiles(std::vector<Dim>& dims) {
  const auto last = dims.end() - 1;
  for (auto dim = dims.begin(); dim != last; ++dim) {
    for (size_t k = 1; k < kMaxOperands; ++k) {
      if (std::abs(dim->step[k]) == 1 && std::abs(last->step[k]) > 1) {
        std::rotate(dim, dim + 1, last);
        return true;
      }
    }
  }
  return false;
}

int64_t product(std::vector<Dim>::const_iterator begin, std::vector<Dim>::const_iterator end) {
  int64_t count = 1;
  for (auto dim = begin; dim != end; ++dim) count *= dim->size;
  return count;
}

void advance(Steps& offset, const Steps& step, int64_t by) {
  for (size_t k = 0; k < kMaxOperands; ++k) offset[k] += step[k] * by;
}

// The offsets of element `position` in row-major order of the first `count` dimensions.
Steps offsets_at(const std::vector<Dim>& dims, size_t count, int64_t position) {
  Steps offset{};
  for (size_t d = count; d-- > 0;) {
    advance(offset, dims[d].step, position % dims[d].size);
    position /= dims[d].size;
  }
  return offset;
}

void walk_lines(const std::vector<Dim>& dims, const std::function<void(const Run&)>& body) {
  const Dim& inner = dims.back();
  parallel_for(product(dims.begin(), dims.end()), kGrain, [&](int64_t begin, int64_t end) {
    const KeepDenormals keep;
    while (begin < end) {
      const int64_t line = begin / inner.size, first = begin % inner.size;
      Run run{std::min(inner.size - first, end - begin), offsets_at(dims, dims.size() - 1, line), inner.step};
      advance(run.offset, inner.step, first);
      body(run);
      begin += run.count;
    }
  });
}

void walk_tiles(const std::vector<Dim>& dims, const std::function<void(const Run&)>& body) {
  const Dim &inner = dims.back(), &across = dims[dims.size() - 2];
  const int64_t wide = (inner.size + kTile - 1) / kTile, high = (across.size + kTile - 1) / kTile;
  const int64_t tiles = product(dims.begin(), dims.end() - 2) * wide * high;
  parallel_for(tiles, kTilesAGrain, [&](int64_t begin, int64_t end) {
    const KeepDenormals keep;
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t column = tile % wide * kTile, row = tile / wide % high * kTile;
      Run run{std::min(kTile, inner.size - column), offsets_at(dims, dims.size() - 2, tile / wide / high), inner.step};
      advance(run.offset, inner.step, column);
      advance(run.offset, across.step, row);
      for (int64_t i = std::min(kTile, across.size - row); i > 0; --i) {
        body(run);
        advance(run.offset, across.step, 1);
      }
    }
  });
}

// Calls body(offset) for elements begin to end of the first `count` dimensions.
template <class Body>
void for_positions(const std::vector<Dim>& dims, size_t count, int64_t begin, int64_t end, const Body& body) {
  Steps offset = offsets_at(dims, count, begin);
  std::vector<int64_t> index(count);
  for (int64_t d = static_cast<int64_t>(count) - 1, rest = begin; d >= 0; --d) {
    index[d] = rest % dims[d].size;
    rest /= dims[d].size;
  }
  for (; begin < end; ++begin) {
    body(offset);
    for (size_t d = count; d-- > 0;) {
      advance(offset, dims[d].step, 1);
      if (++index[d] < dims[d].size) break;
      advance(offset, dims[d].step, -dims[d].size);
      index[d] = 0;
    }
  }
}

void copy_rows(const std::vector<Dim>& dims, int64_t size, std::byte* to, const std::byte* from) {
  const int64_t bytes = dims.back().size * size;
  parallel_for(product(dims.begin(), dims.end() - 1), std::max<int64_t>(1, kGrain / dims.back().size),
               [&](int64_t begin, int64_t end) {
                 for_positions(dims, dims.size() - 1, begin, end, [&](const Steps& offset) {
                   std::memmove(to + offset[0] * size, from + offset[1] * size, static_cast<size_t>(bytes));
                 });
               });
}

// The last dimension is dense in the first operand, the one before it in the second.
template <class T> void copy_turned(const std::vector<Dim>& dims, T* to, const T* from) {
  const Dim &inner = dims.back(), &across = dims[dims.size() - 2];
  const int64_t wide = (inner.size + kBlock - 1) / kBlock, high = (across.size + kBlock - 1) / kBlock;
  parallel_for(product(dims.begin(), dims.end() - 2) * wide * high, kGrain / (kBlock * kBlock),
               [&](int64_t begin, int64_t end) {
                 for (int64_t block = begin; block < end; ++block) {
                   const int64_t i = block % wide * kBlock, j = block / wide % high * kBlock;
                   Steps offset = offsets_at(dims, dims.size() - 2, block / wide / high);
                   advance(offset, inner.step, i);
                   advance(offset, across.step, j);
                   kernels::kernels<T>().transpose(std::min(kBlock, inner.size - i), std::min(kBlock, across.size - j),
                                                   from + offset[1], inner.step[1], to + offset[0], across.step[0]);
                 }
               });
}

}  // namespace

bool copy_by_blocks(const Shape& shape, DType dtype, std::byte* to, const Strides& to_strides, const std::byte* from,
                    const Strides& from_strides) {
  if (numel_of(shape) == 0) return true;
  std::vector<Dim> dims = simplify(shape, {&to_strides, &from_strides});
  if (dims.size() < 2) return false;
  if (dims.back().step[0] == 1 && dims.back().step[1] == 1) {
    // Longer rows should be shared between threads.
    if (dims.back().size > kGrain) return false;
    copy_rows(dims, static_cast<int64_t>(size_of(dtype)), to, from);
    return true;
  }
  if ((dtype != DType::f32 && dtype != DType::f64) || !find_tiles(dims)) return false;
  if (dims.back().step[0] != 1 || dims[dims.size() - 2].step[1] != 1) return false;
  if (dtype == DType::f32) {
    copy_turned(dims, reinterpret_cast<float*>(to), reinterpret_cast<const float*>(from));
  } else {
    copy_turned(dims, reinterpret_cast<double*>(to), reinterpret_cast<const double*>(from));
  }
  return true;
}

void for_each_run(const Shape& shape, std::initializer_list<const Strides*> operands,
                  const std::function<void(const Run&)>& body) {
  if (numel_of(shape) == 0) return;
  std::vector<Dim> dims = simplify(shape, operands);
  if (find_tiles(dims)) {
    walk_tiles(dims, body);
  } else {
    walk_lines(dims, body);
  }
}

}  // namespace qing
