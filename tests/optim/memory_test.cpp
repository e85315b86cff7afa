// A long training takes no more memory than a short one.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/allocator.h>
#include <qing/tensor/random.h>

#include "sanitized.h"

namespace qing {
namespace {

using test::kSanitized;

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

Tensor normal(Shape shape, Generator& rng) {
  Tensor x = Tensor::empty(std::move(shape));
  rng.fill_normal(x, 0, 0.1);
  return x;
}

TEST(Memory, TenThousandStepsOfChangingShapesDoNotGrow) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer keeps freed memory aside, so its resident memory says nothing";
  Generator rng(1);
  Tensor w = normal({16, 12}, rng), b = Tensor::zeros({16}), v = normal({3, 16}, rng);
  for (Tensor* leaf : {&w, &b, &v}) set_requires_grad(*leaf);
  optim::AdamW optimizer({w, b, v}, {.lr = 1e-3});
  int64_t early = 0;
  size_t held = 0;
  for (int step = 0; step < 10'000; ++step) {
    const auto rows = static_cast<int64_t>(1 + rng.below(200));
    const Tensor x = normal({rows, 12}, rng);
    const Tensor targets = Tensor::zeros({rows}, DType::i64);
    optimizer.zero_grad();
    backward(cross_entropy(linear(linear_gelu(x, w, b), v), targets));
    optimizer.step();
    // By then every size class has been used.
    if (step == 1'000) {
      early = resident_bytes();
      held = memory_stats().current_bytes;
    }
  }
  EXPECT_LE(resident_bytes(), early + early / 20) << "more than 5% over " << early << " bytes";
  EXPECT_LE(memory_stats().current_bytes, held + (size_t{1} << 20));
}

TEST(Memory, AMillionNodesReturnTheirMemory) {
  Tensor x = Tensor::full({}, 1, DType::f64);
  set_requires_grad(x);
  backward(tanh(x));  // the gradient's own memory
  const size_t before = memory_stats().current_bytes;
  for (const bool run : {true, false}) {
    Tensor y = tanh(x);
    for (int i = 0; i < 1'000'000; ++i) y = tanh(y);
    EXPECT_GE(memory_stats().current_bytes, before + size_t{64} * 1'000'000);  // each result is kept, 64 bytes at least
    if (run) backward(y);
    y = Tensor();
    EXPECT_EQ(memory_stats().current_bytes, before);
  }
}

}  // namespace
}  // namespace qing
