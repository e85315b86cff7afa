#include <qing/tensor/random.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <qing/tensor/denormals.h>
#include <qing/tensor/ops/keep_mask.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// The known answers published with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, GivesThePublishedAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Generator, IsAFunctionOfSeedAndStream) {
  Generator a(5), b(5), c(6);
  EXPECT_EQ(a.next_u64(), b.next_u64());
  EXPECT_NE(a.next_u64(), c.next_u64());
  Generator resumed(0);
  resumed.restore(a.seed(), a.stream());
  EXPECT_EQ(a.next_u64(), resumed.next_u64());
}

TEST(Generator, BelowIsInRangeAndEven) {
  Generator rng(1);
  std::vector<int> counts(7, 0);
  for (int i = 0; i < 70000; ++i) ++counts[rng.below(7)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 400);  // four standard deviations
  EXPECT_EQ(rng.below(1), 0u);
  EXPECT_THROW(rng.below(0), ValueError);
}

TEST(Generator, NormalHasItsMoments) {
  Generator rng(2);
  Tensor x = Tensor::empty({100001}, DType::f64);
  rng.fill_normal(x, 3, 2);
  double mean = 0, variance = 0;
  for (const double v : x.span<double>()) mean += v / 100001;
  for (const double v : x.span<double>()) variance += (v - mean) * (v - mean) / 100001;
  EXPECT_NEAR(mean, 3, 0.03);
  EXPECT_NEAR(variance, 4, 0.08);
}

TEST(Generator, FillsDoNotDependOnThreads) {
  const int before = num_threads();
  Tensor one = Tensor::empty({50001}), two = Tensor::empty({50001});
  set_num_threads(1);
  Generator(3).fill_normal(one, 0, 1);
  set_num_threads(2);
  Generator(3).fill_normal(two, 0, 1);
  set_num_threads(before);
  EXPECT_EQ(std::memcmp(one.data<float>(), two.data<float>(), 50001 * sizeof(float)), 0);
}

TEST(KeepMask, IsPhiloxElementByElement) {
  std::vector<uint8_t> mask(203);
  fill_keep_mask(7, 9, 0, 203, 0.3, mask.data());
  for (size_t i = 0; i < mask.size(); ++i) {
    const auto words = philox4x32({static_cast<uint32_t>(i / 4), 0, 9, 0}, {7, 0});
    EXPECT_EQ(mask[i], words[i % 4] >= static_cast<uint32_t>(0.3 * 4294967296.0)) << i;
  }
  std::vector<uint8_t> part(50);
  fill_keep_mask(7, 9, 100, 50, 0.3, part.data());
  EXPECT_EQ(std::memcmp(part.data(), mask.data() + 100, 50), 0);
}

TEST(Threads, CoverTheRangeInWholeGrains) {
  for (const int64_t n : {0, 1, 9, 10, 11, 1000}) {
    std::vector<int> hits(static_cast<size_t>(n), 0);
    parallel_for(n, 10, [&](int64_t begin, int64_t end) {
      EXPECT_EQ(begin % 10, 0);
      EXPECT_TRUE(end % 10 == 0 || end == n);
      for (int64_t i = begin; i < end; ++i) ++hits[i];
    });
    for (const int count : hits) EXPECT_EQ(count, 1);
  }
}

TEST(Threads, RethrowAndRefuse) {
  EXPECT_THROW(parallel_for(100, 1,
                            [](int64_t begin, int64_t) {
                              if (begin == 0) throw std::runtime_error("x");
                            }),
               std::runtime_error);
  EXPECT_THROW(set_num_threads(0), ValueError);
  EXPECT_THROW(parallel_for(1, 0, [](int64_t, int64_t) {}), ValueError);
}

#if defined(__x86_64__)
TEST(Denormals, AreFlushedWhileTheGuardLives) {
  volatile float small = 1e-38F;
  {
    const FlushDenormals flush;
    EXPECT_EQ(small * 0.01F, 0);
  }
  EXPECT_NE(small * 0.01F, 0);
}
#endif

}  // namespace
}  // namespace qing
