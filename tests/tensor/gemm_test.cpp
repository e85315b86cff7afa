#include <qing/tensor/ops/gemm.h>

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <qing/tensor/denormals.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/random.h>
#include <qing/tensor/threads.h>

#include "tensor/numbers.h"

namespace qing {
namespace {

using test::numbers;

template <class T> class Gemm : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Gemm, Types);

TYPED_TEST(Gemm, EqualsEigenOverShapesTransposesAndEdges) {
  using T = TypeParam;
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Strided = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
  const int64_t sizes[] = {1, 2, 3, 5, 7, 13, 14, 15, 16, 17, 31, 32, 33, 48, 65};
  const int64_t depths[] = {1, 2, 31, 255, 256, 257, 520};
  int64_t checked = 0;
  for (const int64_t m : sizes) {
    for (const int64_t n : sizes) {
      const int64_t k = depths[(m * 31 + n) % 7];
      for (int mode = 0; mode < 16; ++mode) {
        const Trans ta = (mode & 1) != 0 ? Trans::yes : Trans::no, tb = (mode & 2) != 0 ? Trans::yes : Trans::no;
        const bool with_bias = (mode & 4) != 0, accumulate = (mode & 8) != 0;
        const int64_t lda = (ta == Trans::no ? k : m) + 3, ldb = (tb == Trans::no ? n : k) + 1, ldc = n + 2;
        const auto a = numbers<T>((ta == Trans::no ? m : k) * lda, 1),
                   b = numbers<T>((tb == Trans::no ? k : n) * ldb, 2);
        const auto bias = numbers<T>(n, 3);
        auto c = numbers<T>(m * ldc, 4);
        const auto before = c;
        gemm<T>(ta, tb, m, n, k, a.data(), lda, b.data(), ldb, c.data(), ldc, with_bias ? bias.data() : nullptr,
                accumulate);
        const Strided ea(a.data(), ta == Trans::no ? m : k, ta == Trans::no ? k : m, Eigen::OuterStride<>(lda));
        const Strided eb(b.data(), tb == Trans::no ? k : n, tb == Trans::no ? n : k, Eigen::OuterStride<>(ldb));
        const Matrix left = ta == Trans::no ? Matrix(ea) : Matrix(ea.transpose());
        const Matrix right = tb == Trans::no ? Matrix(eb) : Matrix(eb.transpose());
        const Matrix product = left * right;
        const Matrix magnitude = left.cwiseAbs() * right.cwiseAbs();
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < ldc; ++j) {
            if (j >= n) {
              ASSERT_EQ(c[i * ldc + j], before[i * ldc + j]) << "written beyond the row";
              continue;
            }
            const T want = product(i, j) + (with_bias ? bias[j] : T(0)) + (accumulate ? before[i * ldc + j] : T(0));
            // Higham's error bound of a sum of k products: k·u·Σ|a||b|, for both results.
            const T bound = 2 * static_cast<T>(k + 4) * std::numeric_limits<T>::epsilon() * (magnitude(i, j) + 4);
            ASSERT_NEAR(c[i * ldc + j], want, bound) << m << "x" << n << "x" << k << " mode " << mode;
            ++checked;
          }
        }
      }
    }
  }
  EXPECT_GT(checked, 1'000'000);
}

TYPED_TEST(Gemm, NeverReadsCUnlessAccumulating) {
  using T = TypeParam;
  const auto a = numbers<T>(5 * 300, 1), b = numbers<T>(300 * 7, 2);
  std::vector<T> c(35, std::numeric_limits<T>::quiet_NaN());
  gemm<T>(Trans::no, Trans::no, 5, 7, 300, a.data(), 300, b.data(), 7, c.data(), 7);
  for (const T value : c) EXPECT_TRUE(std::isfinite(value));
}

TYPED_TEST(Gemm, EmptyProductsAreTheBiasOrZero) {
  using T = TypeParam;
  const T bias[] = {1, 2, 3};
  std::vector<T> c(6, 9);
  gemm<T>(Trans::no, Trans::no, 2, 3, 0, nullptr, 1, nullptr, 3, c.data(), 3, bias);
  EXPECT_EQ(c, (std::vector<T>{1, 2, 3, 1, 2, 3}));
  gemm<T>(Trans::no, Trans::no, 2, 3, 0, nullptr, 1, nullptr, 3, c.data(), 3, nullptr, true);
  EXPECT_EQ(c, (std::vector<T>{1, 2, 3, 1, 2, 3}));
  gemm<T>(Trans::no, Trans::no, 2, 3, 0, nullptr, 1, nullptr, 3, c.data(), 3);
  EXPECT_EQ(c, std::vector<T>(6, 0));
  gemm<T>(Trans::no, Trans::no, 0, 3, 4, nullptr, 4, c.data(), 3, c.data(), 3);
  EXPECT_EQ(c, std::vector<T>(6, 0));
}

template <class T> bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

TYPED_TEST(Gemm, BitsDoNotDependOnThreadsNorOnTheRowsBeside) {
  using T = TypeParam;
  const int64_t m = 133, n = 97, k = 611;
  const auto a = numbers<T>(m * k, 1), b = numbers<T>(n * k, 2), bias = numbers<T>(n, 3);
  const int before = num_threads();
  std::vector<T> one(m * n), two(m * n), serial(m * n);
  set_num_threads(1);
  gemm<T>(Trans::no, Trans::yes, m, n, k, a.data(), k, b.data(), k, one.data(), n, bias.data());
  set_num_threads(2);
  gemm<T>(Trans::no, Trans::yes, m, n, k, a.data(), k, b.data(), k, two.data(), n, bias.data());
  set_num_threads(before);
  gemm_serial<T>(Trans::no, Trans::yes, m, n, k, a.data(), k, b.data(), k, serial.data(), n, bias.data());
  EXPECT_TRUE(same_bits(one, two));
  EXPECT_TRUE(same_bits(one, serial));
  // Every row alone, and a run of rows that begins elsewhere.
  for (const int64_t rows : {1, 3, 20}) {
    for (int64_t first = 0; first + rows <= m; first += rows) {
      std::vector<T> part(rows * n);
      gemm<T>(Trans::no, Trans::yes, rows, n, k, a.data() + first * k, k, b.data(), k, part.data(), n, bias.data());
      ASSERT_EQ(std::memcmp(part.data(), one.data() + first * n, part.size() * sizeof(T)), 0) << "row " << first;
    }
  }
}

// Depths around the limits of blocks, and sizes around those of tiles and of the limit for packing.
struct Size {
  int64_t m, n, k;
};
constexpr Size kSizes[] = {{1, 1, 1},       {1, 384, 384},   {2, 130, 513}, {5, 96, 511},
                           {14, 33, 512},   {16, 64, 1025},  {29, 97, 31},  {70, 300, 529},
                           {131, 65, 1600}, {131, 1100, 40}, {257, 31, 16}, {300, 512, 64}};

template <class T> std::vector<T> transposed(const std::vector<T>& x, int64_t rows, int64_t columns) {
  std::vector<T> y(x.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) y[j * rows + i] = x[i * columns + j];
  }
  return y;
}

TYPED_TEST(Gemm, BitsDependOnNothingButRowColumnAndDepth) {
  using T = TypeParam;
  const int before = num_threads();
  for (const auto& [m, n, k] : kSizes) {
    const auto a = numbers<T>(m * k, 1), b = numbers<T>(k * n, 2), bias = numbers<T>(n, 3), old = numbers<T>(m * n, 4);
    const auto at = transposed(a, m, k), bt = transposed(b, k, n);
    std::vector<T> want = old;
    gemm_serial<T>(Trans::no, Trans::no, m, n, k, a.data(), k, b.data(), n, want.data(), n, bias.data(), true);
    for (const int threads : {1, 2, 3, 4}) {
      set_num_threads(threads);
      for (const Trans ta : {Trans::no, Trans::yes}) {
        const T* left = ta == Trans::no ? a.data() : at.data();
        const int64_t lda = ta == Trans::no ? k : m;
        for (const Trans tb : {Trans::no, Trans::yes}) {
          const T* right = tb == Trans::no ? b.data() : bt.data();
          const int64_t ldb = tb == Trans::no ? n : k;
          std::vector<T> got = old;
          gemm<T>(ta, tb, m, n, k, left, lda, right, ldb, got.data(), n, bias.data(), true);
          ASSERT_TRUE(same_bits(got, want)) << m << "x" << n << "x" << k << " on " << threads;
          got = old;
          const PackedMatrix<T> packed(tb, k, n, right, ldb);
          gemm<T>(ta, m, left, lda, packed, got.data(), n, bias.data(), true);
          ASSERT_TRUE(same_bits(got, want)) << m << "x" << n << "x" << k << " packed, on " << threads;
        }
      }
    }
    set_num_threads(before);
    // The same rows and columns within other matrices.
    for (const int64_t rows : {int64_t{1}, m / 3 + 1}) {
      const int64_t first = (m - rows) / 2, skip = n / 3;
      std::vector<T> part(old.begin() + first * n, old.begin() + (first + rows) * n);
      gemm<T>(Trans::no, Trans::no, rows, n - skip, k, a.data() + first * k, k, b.data() + skip, n, part.data() + skip,
              n, bias.data() + skip, true);
      for (int64_t i = 0; i < rows; ++i) {
        ASSERT_EQ(std::memcmp(&part[i * n + skip], &want[(first + i) * n + skip], (n - skip) * sizeof(T)), 0);
      }
    }
  }
}

TYPED_TEST(Gemm, GeluBesideOrInPlaceIsTheKernelsOfTheProduct) {
  using T = TypeParam;
  for (const auto& [m, n, k] : kSizes) {
    const auto a = numbers<T>(m * k, 1), b = numbers<T>(k * n, 2), bias = numbers<T>(n, 3);
    std::vector<T> plain(m * n), want(m * n), c(m * n), y(m * n), in_place(m * n);
    gemm<T>(Trans::no, Trans::no, m, n, k, a.data(), k, b.data(), n, plain.data(), n, bias.data());
    {
      const FlushDenormals flush;
      kernels::apply(kernels::Unary::gelu, m * n, plain.data(), want.data());
    }
    gemm<T>(Trans::no, Trans::no, m, n, k, a.data(), k, b.data(), n, c.data(), n, bias.data(), false, y.data());
    EXPECT_TRUE(same_bits(c, plain));
    EXPECT_TRUE(same_bits(y, want));
    gemm<T>(Trans::no, m, a.data(), k, PackedMatrix<T>(Trans::no, k, n, b.data(), n), in_place.data(), n, bias.data(),
            false, in_place.data());
    EXPECT_TRUE(same_bits(in_place, want));
  }
}

TYPED_TEST(Gemm, InfinitiesAndNansGoWhereTheSumsTakeThem) {
  using T = TypeParam;
  constexpr T kInf = std::numeric_limits<T>::infinity(), kNan = std::numeric_limits<T>::quiet_NaN();
  const int64_t m = 37, n = 45, k = 530;
  auto a = numbers<T>(m * k, 1), b = numbers<T>(k * n, 2);
  a[3 * k + 7] = kNan;
  a[10 * k + 529] = kInf;
  a[36 * k + 0] = -kInf;
  b[12 * n + 44] = kNan;
  b[100 * n + 8] = kInf;
  a[20 * k + 100] = 0;  // 0·∞
  b[529 * n + 30] = 0;
  const auto at = transposed(a, m, k), bt = transposed(b, k, n);
  for (const int mode : {0, 1, 2, 3}) {
    const bool ta = (mode & 1) != 0, tb = (mode & 2) != 0;
    std::vector<T> c(m * n);
    gemm<T>(ta ? Trans::yes : Trans::no, tb ? Trans::yes : Trans::no, m, n, k, ta ? at.data() : a.data(), ta ? m : k,
            tb ? bt.data() : b.data(), tb ? k : n, c.data(), n);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        T want = 0;
        for (int64_t p = 0; p < k; ++p) want += a[i * k + p] * b[p * n + j];
        const T got = c[i * n + j];
        ASSERT_EQ(std::isnan(got), std::isnan(want)) << i << "," << j;
        if (std::isinf(want) || std::isinf(got)) { ASSERT_EQ(got, want) << i << "," << j; }
      }
    }
  }
}

TYPED_TEST(Gemm, FlushesDenormalsOnAnyNumberOfThreads) {
  using T = TypeParam;
  const int before = num_threads();
  const T tiny = std::numeric_limits<T>::min();
  const std::vector<T> a(64 * 64, tiny), b(64 * 64, T(0.25));  // products below the smallest normal number
  for (const int threads : {1, 4}) {
    set_num_threads(threads);
    std::vector<T> c(64 * 64, 1), serial(64 * 64, 1);
    gemm<T>(Trans::no, Trans::no, 64, 64, 1, a.data(), 64, b.data(), 64, c.data(), 64);
    EXPECT_EQ(c, std::vector<T>(64 * 64, 0));
    gemm_serial<T>(Trans::no, Trans::no, 64, 64, 1, a.data(), 64, b.data(), 64, serial.data(), 64);
    EXPECT_EQ(serial, c);
  }
  set_num_threads(before);
}

TYPED_TEST(Gemm, PackedMatricesAreCopiesAndMayBeEmpty) {
  using T = TypeParam;
  std::vector<T> b = {1, 2, 3, 4}, c(2);
  const PackedMatrix<T> packed(Trans::no, 2, 2, b.data(), 2);
  EXPECT_EQ(packed.rows(), 2);
  EXPECT_EQ(packed.columns(), 2);
  b.assign(4, 0);
  const T a[] = {1, 10};
  gemm<T>(Trans::no, 1, a, 2, packed, c.data(), 2);
  EXPECT_EQ(c, (std::vector<T>{31, 42}));
  gemm<T>(Trans::no, 1, a, 2, PackedMatrix<T>(), c.data(), 2);
  EXPECT_EQ(c, (std::vector<T>{31, 42}));
  gemm<T>(Trans::no, 1, a, 2, PackedMatrix<T>(Trans::no, 0, 2, nullptr, 2), c.data(), 2);
  EXPECT_EQ(c, (std::vector<T>{0, 0}));
  EXPECT_THROW(PackedMatrix<T>(Trans::no, -1, 2, nullptr, 2), ValueError);
}

}  // namespace
}  // namespace qing
