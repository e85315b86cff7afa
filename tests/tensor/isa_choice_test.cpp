// QING_ISA is read once per process, so each choice is tested in a child process.
#include <gtest/gtest.h>

#include <cstdlib>

#include <qing/tensor/errors.h>
#include <qing/tensor/kernels/kernels.h>

namespace qing::kernels {
namespace {

int child(const char* isa) {
  setenv("QING_ISA", isa, 1);
  try {
    return static_cast<int>(active_isa());
  } catch (const ValueError&) { return 42; }
}

TEST(IsaChoiceDeathTest, FollowsTheEnvironment) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512, Isa::avx512vnni, Isa::avx512bf16, Isa::amx, Isa::neon}) {
    EXPECT_EXIT(std::exit(child(name_of(isa))), ::testing::ExitedWithCode(supported(isa) ? static_cast<int>(isa) : 42),
                "");
  }
  EXPECT_EXIT(std::exit(child("avx1024")), ::testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace qing::kernels
