// Tests only that measurements exist and separate very different speeds, because the speed of the machine is unknown.
#include <gtest/gtest.h>

#include <qing/tensor/errors.h>
#include <qing/tensor/machine.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

TEST(Machine, HasAName) { EXPECT_FALSE(cpu_name().empty()); }

TEST(Machine, HasAPeakForEveryInstructionSet) {
  for (const kernels::Isa isa : {kernels::Isa::scalar, kernels::Isa::avx2, kernels::Isa::avx512}) {
    if (kernels::supported(isa)) {
      EXPECT_GT(fma_peak(isa), 1e8) << kernels::name_of(isa);
    } else {
      EXPECT_THROW(fma_peak(isa), ValueError);
    }
  }
}

TEST(Machine, MovesBytesThroughEveryKindOfStream) {
  const Streams kinds[] = {{.reads = 1}, {.updates = 1}, {.writes = 1}, {.reads = 2, .updates = 1, .writes = 1}};
  for (const Streams& streams : kinds) {
    for (const int64_t bytes : {int64_t{1} << 15, int64_t{1} << 22}) EXPECT_GT(memory_bandwidth(streams, bytes), 1e7);
  }
}

TEST(Machine, RefusesStreamsThatMoveNothing) {
  EXPECT_THROW(memory_bandwidth({}, 1 << 20), ValueError);
  EXPECT_THROW(memory_bandwidth({.reads = -1, .writes = 2}, 1 << 20), ValueError);
  EXPECT_THROW(memory_bandwidth({.reads = 1}, 4095), ValueError);
  EXPECT_THROW(memory_bandwidth({.reads = 1}, 4096 * int64_t{num_threads()} - 1), ValueError);
}

}  // namespace
}  // namespace qing
