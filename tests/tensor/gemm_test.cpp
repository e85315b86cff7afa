#include <qing/tensor/ops/gemm.h>

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/random.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

template <class T>
std::vector<T> numbers(int64_t n, uint64_t seed) {
  Generator rng(seed);
  Tensor t = Tensor::empty({n}, dtype_of<T>);
  rng.fill_normal(t, 0, 1);
  const auto values = t.template span<T>();
  return {values.begin(), values.end()};
}

template <class T>
class Gemm : public ::testing::Test {};
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
        const auto a = numbers<T>((ta == Trans::no ? m : k) * lda, 1), b = numbers<T>((tb == Trans::no ? k : n) * ldb, 2);
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
            // Higham's bound of a sum of k products: k·u·Σ|a||b|, for either side.
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

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
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

}  // namespace
}  // namespace qing
