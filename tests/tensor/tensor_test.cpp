#include <qing/tensor/tensor.h>

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include <qing/tensor/allocator.h>

namespace qing {
namespace {

TEST(Tensor, MakesTheRequestedTensor) {
  EXPECT_EQ(Tensor::zeros({2, 3}).numel(), 6);
  EXPECT_EQ(Tensor::full({2}, 1.5, DType::f64).data<double>()[1], 1.5);
  EXPECT_EQ(Tensor::arange(4).data<int64_t>()[3], 3);
  EXPECT_EQ(Tensor::from<float>({1, 2, 3, 4}, {2, 2}).select(0, 1).select(0, 0).item(), 3);
  EXPECT_EQ(Tensor::full({}, 7).item(), 7);
  EXPECT_EQ(Tensor::empty({3, 0, 2}).numel(), 0);
  EXPECT_FALSE(Tensor().defined());
}

TEST(Tensor, RefusesWithTypedErrors) {
  EXPECT_THROW(Tensor::empty({-1}), ValueError);
  EXPECT_THROW(Tensor::empty({int64_t{1} << 40, int64_t{1} << 40}), ValueError);
  EXPECT_THROW(Tensor::empty({int64_t{1} << 62}, DType::f64), ValueError);
  EXPECT_THROW(Tensor::from<float>({1, 2}, {3}), ShapeError);
  EXPECT_THROW(Tensor::zeros({2}).data<double>(), DTypeError);
  EXPECT_THROW(Tensor::zeros({2}).item(), ShapeError);
  EXPECT_THROW(Tensor::zeros({2, 3}).transpose(0, 1).span<float>(), ShapeError);
  EXPECT_THROW(Tensor::zeros({2}).size(1), IndexError);
  EXPECT_THROW(Tensor::zeros({2}).select(0, 2), IndexError);
  EXPECT_THROW(Tensor::zeros({2}).reshape({3}), ShapeError);
  EXPECT_THROW(Tensor().numel(), ValueError);
}

TEST(Tensor, ViewsShareStorageAndCopiesDoNot) {
  Tensor x = Tensor::zeros({2, 3});
  Tensor column = x.transpose(0, 1).slice(0, 1, 2);
  column.fill(5);
  EXPECT_EQ(x.select(0, 1).select(0, 1).item(), 5);
  EXPECT_EQ(x.select(0, 0).select(0, 0).item(), 0);
  EXPECT_TRUE(column.shares_storage(x));
  EXPECT_FALSE(x.clone().shares_storage(x));
  EXPECT_TRUE(x.contiguous().same_as(x));
  EXPECT_TRUE(x.reshape({6}).shares_storage(x));
  EXPECT_FALSE(x.transpose(0, 1).reshape({6}).shares_storage(x));
}

TEST(Tensor, ViewsShareTheVersionOfWrites) {
  Tensor x = Tensor::zeros({4});
  const Tensor view = x.slice(0, 1, 3);
  const uint64_t before = view.version();
  x.fill(1);
  EXPECT_GT(view.version(), before);
}

TEST(Tensor, CopyFromBroadcastsAndConverts) {
  Tensor x = Tensor::zeros({2, 3}, DType::f64);
  x.copy_from(Tensor::from<int32_t>({1, 2, 3}, {3}));
  EXPECT_EQ(x.select(0, 1).select(0, 2).item(), 3);
  EXPECT_THROW(x.copy_from(Tensor::zeros({4})), ShapeError);
}

TEST(Tensor, CopyFromOverlappingStorageIsRight) {
  Tensor x = Tensor::arange(6);
  x.slice(0, 1, 6).copy_from(x.slice(0, 0, 5));
  EXPECT_EQ(std::vector<int64_t>(x.span<int64_t>().begin(), x.span<int64_t>().end()),
            (std::vector<int64_t>{0, 0, 1, 2, 3, 4}));
  Tensor square = Tensor::arange(4).reshape({2, 2});
  square.copy_from(square.transpose(0, 1));
  EXPECT_EQ(square.select(0, 0).select(0, 1).item(), 2);
  EXPECT_EQ(square.select(0, 1).select(0, 0).item(), 1);
}

TEST(Tensor, AnExpandedViewIsNotWritten) {
  Tensor row = Tensor::zeros({3});
  Tensor wide = row.expand({2, 3});
  EXPECT_THROW(wide.fill(1), ValueError);
  EXPECT_THROW(wide.copy_from(Tensor::zeros({2, 3})), ValueError);
}

TEST(Tensor, ConversionsSaturateAndRound) {
  const Tensor x = Tensor::from<float>({-1e20F, 1e20F, std::nanf(""), 2.9F, -2.9F}, {5});
  const Tensor i = x.to(DType::i32);
  EXPECT_EQ(i.data<int32_t>()[0], std::numeric_limits<int32_t>::min());
  EXPECT_EQ(i.data<int32_t>()[1], std::numeric_limits<int32_t>::max());
  EXPECT_EQ(i.data<int32_t>()[2], 0);
  EXPECT_EQ(i.data<int32_t>()[3], 2);
  EXPECT_EQ(i.data<int32_t>()[4], -2);
  EXPECT_EQ(x.to(DType::boolean).data<bool>()[0], true);
  EXPECT_TRUE(x.to(DType::f32).same_as(x));
}

TEST(Tensor, IsAnEigenMapWithoutACopy) {
  const Tensor x = Tensor::arange(6, DType::f32).reshape({2, 3});
  Eigen::Map<Eigen::Matrix<float, 2, 3, Eigen::RowMajor>> map(x.data<float>());
  map(1, 2) = 42;
  EXPECT_EQ(x.select(0, 1).select(0, 2).item(), 42);
}

TEST(Tensor, HandlesMayBeCopiedFromManyThreads) {
  const Tensor shared = Tensor::full({8}, 3);
  std::vector<std::thread> threads;
  std::vector<int> right(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10000; ++i) {
        const Tensor copy = shared;
        right[t] += copy.data<float>()[i % 8] == 3;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const int count : right) EXPECT_EQ(count, 10000);
}

TEST(Halves, RoundToNearestEven) {
  EXPECT_EQ(to_half(1.0F).bits, 0x3c00);
  EXPECT_EQ(to_half(65504.0F).bits, 0x7bff);
  EXPECT_EQ(to_half(65519.99F).bits, 0x7bff);
  EXPECT_EQ(to_half(65520.0F).bits, 0x7c00);
  EXPECT_EQ(to_half(-0.0F).bits, 0x8000);
  EXPECT_EQ(to_half(0x1p-24F).bits, 1);
  EXPECT_EQ(to_half(0x1p-25F).bits, 0);    // a tie, to even
  EXPECT_EQ(to_half(0x1.8p-24F).bits, 2);  // a tie, to even
  EXPECT_EQ(to_half(1 + 0x1p-11F).bits, 0x3c00);
  EXPECT_EQ(to_half(1 + 0x3p-11F).bits, 0x3c02);
  EXPECT_TRUE(std::isnan(to_float(to_half(std::nanf("")))));
  EXPECT_EQ(to_bfloat16(1.0F).bits, 0x3f80);
  EXPECT_EQ(to_bfloat16(1 + 0x1p-8F).bits, 0x3f80);
  EXPECT_EQ(to_bfloat16(1 + 0x3p-8F).bits, 0x3f82);
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::nanf("")))));
}

TEST(Halves, ADoubleIsRoundedOnce) {
  // Just above a number that f32 would round to a tie. The result is the nearest number, not the even one of the tie.
  EXPECT_EQ(to_half(1 + 0x1p-11 + 0x1p-40).bits, 0x3c01);
  EXPECT_EQ(to_half(1 + 0x3p-11 - 0x1p-40).bits, 0x3c01);
  EXPECT_EQ(to_half(-1 - 0x1p-11 - 0x1p-40).bits, 0xbc01);
  EXPECT_EQ(to_half(0x1p-25 + 0x1p-70).bits, 1);
  EXPECT_EQ(to_half(65520 - 0x1p-30).bits, 0x7bff);
  EXPECT_EQ(to_half(1e300).bits, 0x7c00);
  EXPECT_EQ(to_half(-1e-300).bits, 0x8000);
  EXPECT_TRUE(std::isnan(to_float(to_half(std::nan("")))));
  EXPECT_EQ(to_bfloat16(1 + 0x1p-8 + 0x1p-40).bits, 0x3f81);
  EXPECT_EQ(to_bfloat16(0x1p-134 + 0x1p-170).bits, 1);
  EXPECT_EQ(to_bfloat16(std::numeric_limits<double>::infinity()).bits, 0x7f80);
  // 2^62 and a half step of bfloat16, and one more.
  const int64_t tie = (int64_t{1} << 62) + (int64_t{1} << 54);
  const Tensor x = Tensor::from<int64_t>({tie, tie + 1, -tie - 1, std::numeric_limits<int64_t>::min()}, {4});
  const Tensor y = x.to(DType::bf16);
  EXPECT_EQ(y.data<BFloat16>()[0].bits, 0x5e80);
  EXPECT_EQ(y.data<BFloat16>()[1].bits, 0x5e81);
  EXPECT_EQ(y.data<BFloat16>()[2].bits, 0xde81);
  EXPECT_EQ(y.data<BFloat16>()[3].bits, 0xdf00);
}

TEST(Halves, EveryBitPatternComesBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Half h{static_cast<uint16_t>(bits)};
    const float f = to_float(h);
    if (std::isnan(f)) continue;
    ASSERT_EQ(to_half(f).bits, h.bits);
    const BFloat16 b{static_cast<uint16_t>(bits)};
    if (!std::isnan(to_float(b))) { ASSERT_EQ(to_bfloat16(to_float(b)).bits, b.bits); }
  }
}

TEST(Allocator, IsAlignedCountsAndReuses) {
  release_cached_memory();
  reset_peak_memory();
  const size_t before = memory_stats().current_bytes;
  void* const block = allocate(1000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
  EXPECT_GE(memory_stats().current_bytes, before + 1000);
  deallocate(block, 1000);
  EXPECT_EQ(memory_stats().current_bytes, before);
  EXPECT_GE(memory_stats().peak_bytes, before + 1000);
  EXPECT_EQ(allocate(990), block);  // of the same class
  deallocate(block, 990);
  EXPECT_GT(memory_stats().cached_bytes, 0u);
  release_cached_memory();
  EXPECT_EQ(memory_stats().cached_bytes, 0u);
}

TEST(Allocator, TrimmingReturnsUnusedMemory) {
  release_cached_memory();
  for (const size_t bytes : {size_t{1000}, size_t{100} << 10}) {
    void *const often = allocate(bytes), *const once = allocate(bytes);
    deallocate(once, bytes);
    deallocate(often, bytes);
    const size_t both = memory_stats().cached_bytes;
    trim_cached_memory();
    EXPECT_EQ(memory_stats().cached_bytes, both);  // both were needed at the same time
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(allocate(bytes), often);
      deallocate(often, bytes);
    }
    trim_cached_memory();
    EXPECT_EQ(memory_stats().cached_bytes, both / 2);
    EXPECT_EQ(allocate(bytes), often);
    deallocate(often, bytes);
    trim_cached_memory();
    EXPECT_EQ(memory_stats().cached_bytes, both / 2);  // needed since
    trim_cached_memory();
    EXPECT_EQ(memory_stats().cached_bytes, 0u);
  }
}

TEST(Allocator, LongLivedAllocationsDoNotTakeLargerBlocks) {
  release_cached_memory();
  void* const batch = allocate(size_t{400} << 10);
  deallocate(batch, size_t{400} << 10);
  void* weights = nullptr;
  {
    const LongLivedAllocations guard;
    weights = allocate(size_t{200} << 10);
  }
  EXPECT_NE(weights, batch);
  void* const next = allocate(size_t{200} << 10);
  EXPECT_EQ(next, batch);
  deallocate(weights, size_t{200} << 10);
  deallocate(next, size_t{200} << 10);
}

TEST(Allocator, EverySizeHasAClassThatHoldsIt) {
  for (size_t bytes = 0; bytes < 5000; ++bytes) {
    auto* const block = static_cast<char*>(allocate(bytes));
    for (size_t i = 0; i < bytes; i += 63) block[i] = 1;
    if (bytes > 0) block[bytes - 1] = 1;
    deallocate(block, bytes);
  }
}

}  // namespace
}  // namespace qing
