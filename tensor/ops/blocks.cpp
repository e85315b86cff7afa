#include <qing/tensor/ops/blocks.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/strided.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kCopied = 512;   // elements of an operand copied at a time: four operands of 8 bytes fill half of L1
constexpr int64_t kShortRun = 64;  // calling a kernel for a shorter run costs more than copying it

struct Operand {
  const std::byte* data;
  size_t element;  // bytes
  Strides strides;
  bool whole = false;  // dense, or one element repeated, over the whole shape

  int64_t inner() const { return strides.back(); }
};

// The common shape, without dimensions of size 1. Dimensions are merged where all operands continue with the same step.
struct Walk {
  Shape sizes;
  std::vector<Operand> operands;

  int64_t inner() const { return sizes.back(); }
};

Walk simplify(const Shape& shape, std::initializer_list<Tensor> tensors) {
  Walk walk;
  std::vector<Strides> strides;
  for (const Tensor& tensor : tensors) {
    const void* data =
        dispatch_all(tensor.dtype(), [&](auto zero) -> const void* { return tensor.data<decltype(zero)>(); });
    walk.operands.push_back({static_cast<const std::byte*>(data), size_of(tensor.dtype()), {}});
    strides.push_back(tensor.layout().expand(shape).strides);
  }
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    bool merge = !walk.sizes.empty();
    for (size_t k = 0; merge && k < strides.size(); ++k) {
      merge = walk.operands[k].strides.back() == strides[k][d] * shape[d];
    }
    if (merge) {
      walk.sizes.back() *= shape[d];
    } else {
      walk.sizes.push_back(shape[d]);
    }
    for (size_t k = 0; k < strides.size(); ++k) {
      if (merge) walk.operands[k].strides.pop_back();
      walk.operands[k].strides.push_back(strides[k][d]);
    }
  }
  if (walk.sizes.empty()) {
    walk.sizes = {1};
    for (Operand& operand : walk.operands) operand.strides = {1};
  }
  return walk;
}

void find_whole(Walk& walk, Repeat repeat) {
  for (Operand& operand : walk.operands) {
    const Layout layout{walk.sizes, operand.strides, 0};
    const bool repeats = std::all_of(operand.strides.begin(), operand.strides.end(), [](int64_t s) { return s == 0; });
    operand.whole = layout.is_contiguous() || (repeats && repeat == Repeat::scalar);
  }
}

int64_t position_of(const Walk& walk, const Operand& operand, int64_t index) {
  int64_t position = 0;
  for (size_t d = walk.sizes.size(); d-- > 0;) {
    position += index % walk.sizes[d] * operand.strides[d];
    index /= walk.sizes[d];
  }
  return position;
}

template <size_t kElement> void copy_run(const std::byte* from, int64_t step, int64_t n, std::byte* to) {
  const auto bytes = static_cast<int64_t>(kElement);
  for (int64_t i = 0; i < n; ++i) std::memcpy(to + i * bytes, from + i * step * bytes, kElement);
}

void copy_run(const Operand& operand, int64_t position, int64_t n, std::byte* to) {
  const std::byte* from = operand.data + position * static_cast<int64_t>(operand.element);
  if (operand.inner() == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * operand.element);
    return;
  }
  switch (operand.element) {
    case 1: return copy_run<1>(from, operand.inner(), n, to);
    case 2: return copy_run<2>(from, operand.inner(), n, to);
    case 4: return copy_run<4>(from, operand.inner(), n, to);
    default: return copy_run<8>(from, operand.inner(), n, to);
  }
}

// Copies elements [begin, begin + n), across the ends of inner dimensions.
void copy_elements(const Walk& walk, const Operand& operand, int64_t begin, int64_t n, std::byte* to) {
  while (n > 0) {
    const int64_t run = std::min(n, walk.inner() - begin % walk.inner());
    copy_run(operand, position_of(walk, operand, begin), run, to);
    to += run * static_cast<int64_t>(operand.element);
    begin += run;
    n -= run;
  }
}

class Blocks {
 public:
  Blocks(const Walk& walk, Repeat repeat) : walk_(walk), repeat_(repeat) {
    all_whole_ = std::all_of(walk.operands.begin(), walk.operands.end(), [](const Operand& o) { return o.whole; });
    dense_runs_ = walk.inner() >= kShortRun &&
                  std::all_of(walk.operands.begin(), walk.operands.end(), [&](const Operand& o) { return usable(o); });
  }

  // The length of the block that starts at `begin`; blocks stop at `end`.
  int64_t length(int64_t begin, int64_t end) const {
    if (all_whole_) return end - begin;
    const int64_t left = walk_.inner() >= kShortRun ? walk_.inner() - begin % walk_.inner() : end - begin;
    return std::min({end - begin, left, dense_runs_ ? end - begin : kCopied});
  }

  Lane lane(size_t k, int64_t begin, int64_t n, std::byte* buffer) const {
    const Operand& operand = walk_.operands[k];
    if (operand.whole || (walk_.inner() >= kShortRun && usable(operand))) {
      return {operand.data + position_of(walk_, operand, begin) * static_cast<int64_t>(operand.element),
              operand.inner()};
    }
    copy_elements(walk_, operand, begin, n, buffer);
    return {buffer, 1};
  }

 private:
  // Whether a run along the inner dimension can be passed on without a copy.
  bool usable(const Operand& o) const { return o.inner() == 1 || (o.inner() == 0 && repeat_ == Repeat::scalar); }

  const Walk& walk_;
  Repeat repeat_;
  bool all_whole_, dense_runs_;
};

}  // namespace

void for_blocks(const Shape& shape, std::initializer_list<Tensor> operands, Repeat repeat,
                const std::function<void(int64_t, int64_t, const Lane*)>& block) {
  if (operands.size() > kMaxOperands) throw ValueError("for_blocks: more than 4 operands");
  const int64_t n = numel_of(shape);
  if (n == 0) return;
  Walk walk = simplify(shape, operands);
  find_whole(walk, repeat);
  const Blocks blocks(walk, repeat);
  parallel_for(n, kElementGrain, [&](int64_t begin, int64_t end) {
    alignas(64) std::array<std::array<std::byte, kCopied * 8>, kMaxOperands> buffers;
    std::array<Lane, kMaxOperands> lanes{};
    while (begin < end) {
      const int64_t length = blocks.length(begin, end);
      for (size_t k = 0; k < walk.operands.size(); ++k) lanes[k] = blocks.lane(k, begin, length, buffers[k].data());
      block(begin, length, lanes.data());
      begin += length;
    }
  });
}

}  // namespace qing
