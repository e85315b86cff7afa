#include <qing/tensor/strided.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <qing/tensor/denormals.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kGrain = 16384;  // elements
constexpr int64_t kTile = 32;      // a side: 32 lines of 128 bytes of f32 fit L1
constexpr int64_t kTilesAGrain = kGrain / (kTile * kTile);

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

// Moves the dimension along which some operand is dense, if that is not the last one, next to the last. False if there
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

}  // namespace

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
