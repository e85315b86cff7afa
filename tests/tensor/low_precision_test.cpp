#include <qing/tensor/ops/low_precision.h>

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <qing/tensor/denormals.h>
#include <qing/tensor/dtype.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/kernels/low_precision_strips.h>
#include <qing/tensor/random.h>
#include <qing/tensor/threads.h>

#include "tensor/numbers.h"

namespace qing {
namespace {

using test::numbers;

struct Size {
  int64_t m, n, k;
};
constexpr Size kSizes[] = {{1, 1, 1},   {1, 33, 4},   {3, 5, 7},     {4, 16, 64},    {13, 31, 66},  {14, 32, 129},
                           {15, 8, 3},  {29, 65, 34}, {113, 40, 25}, {40, 300, 128}, {7, 70, 1000}, {250, 64, 64},
                           {2, 1, 513}, {5, 17, 2},   {33, 97, 192}, {70, 96, 260},  {20, 130, 63}};

// The definition of the int8 product in integers: Σ qa·qb times the scales.
std::vector<float> quantized(const std::vector<float>& a, const std::vector<float>& b, Size s,
                             const std::vector<float>& bias) {
  const auto scale_of = [&](auto value, int64_t n) {
    float most = 0;
    for (int64_t p = 0; p < n; ++p) most = std::max(most, std::abs(value(p)));
    return most / 127;
  };
  std::vector<float> c(s.m * s.n);
  for (int64_t i = 0; i < s.m; ++i) {
    const auto row = [&](int64_t p) { return a[i * s.k + p]; };
    const float a_scale = scale_of(row, s.k);
    for (int64_t j = 0; j < s.n; ++j) {
      const auto column = [&](int64_t p) { return b[p * s.n + j]; };
      const float b_scale = scale_of(column, s.k);
      int64_t sum = 0;
      for (int64_t p = 0; p < s.k; ++p) {
        sum += std::lrint(row(p) * (1 / a_scale)) * std::lrint(column(p) * (1 / b_scale));
      }
      c[i * s.n + j] = static_cast<float>(sum) * a_scale * b_scale + bias[j];
    }
  }
  return c;
}

std::vector<float> transposed(const std::vector<float>& b, int64_t k, int64_t n) {
  std::vector<float> out(b.size());
  for (int64_t p = 0; p < k; ++p) {
    for (int64_t j = 0; j < n; ++j) out[j * k + p] = b[p * n + j];
  }
  return out;
}

TEST(GemmInt8, IsTheIntegerProductToTheBitFromEitherLayout) {
  for (const Size s : kSizes) {
    const auto a = numbers<float>(s.m * s.k, 1), b = numbers<float>(s.k * s.n, 2), bias = numbers<float>(s.n, 3);
    const auto want = quantized(a, b, s, bias);
    const auto bt = transposed(b, s.k, s.n);
    for (const bool trans : {false, true}) {
      const Int8Matrix packed =
          trans ? Int8Matrix(Trans::yes, s.k, s.n, bt.data(), s.k) : Int8Matrix(Trans::no, s.k, s.n, b.data(), s.n);
      std::vector<float> c(s.m * (s.n + 1), 77);
      gemm(s.m, a.data(), s.k, packed, c.data(), s.n + 1, bias.data());
      for (int64_t i = 0; i < s.m; ++i) {
        ASSERT_EQ(std::memcmp(&c[i * (s.n + 1)], &want[i * s.n], s.n * sizeof(float)), 0)
            << s.m << "x" << s.n << "x" << s.k;
        ASSERT_EQ(c[i * (s.n + 1) + s.n], 77) << "written beyond the row";
      }
    }
  }
}

TEST(GemmLowPrecision, GeluIsThatOfTheProductToTheBit) {
  for (const Size s : kSizes) {
    const auto a = numbers<float>(s.m * s.k, 1), b = numbers<float>(s.k * s.n, 2), bias = numbers<float>(s.n, 3);
    const Int8Matrix bytes(Trans::no, s.k, s.n, b.data(), s.n);
    const Bf16Matrix words(Trans::no, s.k, s.n, b.data(), s.n);
    const auto check = [&](const auto& matrix) {
      std::vector<float> c(s.m * (s.n + 1), 77), want(c);
      gemm(s.m, a.data(), s.k, matrix, want.data(), s.n + 1, bias.data());
      gemm(s.m, a.data(), s.k, matrix, c.data(), s.n + 1, bias.data(), true);
      const FlushDenormals flush;  // as in every operation that uses threads
      for (int64_t i = 0; i < s.m; ++i) {
        float* const row = &want[i * (s.n + 1)];
        kernels::apply(kernels::Unary::gelu, s.n, row, row);
      }
      EXPECT_EQ(std::memcmp(c.data(), want.data(), c.size() * sizeof(float)), 0) << s.m << "x" << s.n << "x" << s.k;
    };
    check(bytes);
    check(words);
  }
}

TEST(GemmLowPrecision, JoinedProductsAreTheProductsToTheBit) {
  const int64_t k = 70;
  for (const int64_t m : {1, 2, 3, 17, 120}) {
    const auto a = numbers<float>(m * k, 1), bias = numbers<float>(300, 3);
    const auto check = [&]<class Matrix>(Matrix*) {
      std::vector<Matrix> matrices;
      for (const int64_t n : {33, 1, 0, 64, 200}) {
        const auto b = numbers<float>(k * n, static_cast<uint64_t>(n) + 5);
        matrices.emplace_back(Trans::no, k, n, b.data(), n);
      }
      const int64_t width = 33 + 1 + 64 + 200 + 1;
      std::vector<float> c(m * width, 77), want(c);
      std::vector<JoinedProduct<Matrix>> products;
      int64_t at = 0;
      for (const Matrix& b : matrices) {
        const float* const added = at == 0 ? nullptr : bias.data() + at;
        products.push_back({&b, added, c.data() + at});
        gemm(m, a.data(), k, b, want.data() + at, width, added);
        at += b.columns();
      }
      gemm_joined(m, a.data(), k, products, width);
      EXPECT_EQ(std::memcmp(c.data(), want.data(), c.size() * sizeof(float)), 0) << m;
      const Matrix other(Trans::no, k + 1, 1, std::vector<float>(k + 1, 1).data(), 1);
      products.push_back({&other, nullptr, c.data()});
      EXPECT_THROW(gemm_joined(m, a.data(), k, products, width), ValueError);
    };
    check(static_cast<Int8Matrix*>(nullptr));
    check(static_cast<Bf16Matrix*>(nullptr));
  }
}

double exact_gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

TEST(RoughGelu, IsWithinItsBound) {
  std::vector<float> x;
  for (int i = -40000; i <= 40000; ++i) x.push_back(static_cast<float>(i) / 1000);
  for (const float far : {0.0F, -0.0F, 1e-30F, 300.0F, -300.0F, 1e30F, -1e30F}) x.push_back(far);
  std::vector<float> y = x;
  kernels::low_precision().rough_gelu(std::ssize(y), y.data());
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(y[i], exact_gelu(x[i]), 5e-5 * std::max(1.0, std::abs(double(x[i])) / 12)) << x[i];
  }
  float nan = std::numeric_limits<float>::quiet_NaN();
  kernels::low_precision().rough_gelu(1, &nan);
  EXPECT_TRUE(std::isnan(nan));
}

template <class Matrix> struct FeedForward {
  int64_t m, k, hidden, n;
  std::vector<float> a = numbers<float>(m * k, 1), w1 = numbers<float>(k * hidden, 2), b1 = numbers<float>(hidden, 3),
                     w2 = numbers<float>(hidden * n, 4), b2 = numbers<float>(n, 5);
  Matrix first{Trans::no, k, hidden, w1.data(), hidden}, second{Trans::no, hidden, n, w2.data(), n};

  std::vector<float> run(int64_t row, int64_t rows) const {
    std::vector<float> c(rows * (n + 1), 77);
    feed_forward(rows, a.data() + row * k, k, first, b1.data(), second, b2.data(), c.data(), n + 1);
    return c;
  }
};

// The hidden values differ from exact ones by rough_gelu()'s error, which changes a byte by 1 where it rounds at a tie.
TEST(FeedForwardInt8, IsTheProductOfTheRoundedHiddenValues) {
  for (const auto& [m, k, hidden, n] :
       {std::array<int64_t, 4>{1, 5, 7, 3}, {3, 70, 33, 40}, {60, 32, 130, 65}, {250, 48, 192, 48}}) {
    const FeedForward<Int8Matrix> f{m, k, hidden, n};
    auto middle = quantized(f.a, f.w1, {m, hidden, k}, f.b1);
    for (float& x : middle) x = static_cast<float>(exact_gelu(x));
    const auto want = quantized(middle, f.w2, {m, n, hidden}, f.b2), got = f.run(0, m);
    for (int64_t i = 0; i < m; ++i) {
      float most = 0;
      for (int64_t p = 0; p < hidden; ++p) most = std::max(most, std::abs(middle[i * hidden + p]));
      for (int64_t j = 0; j < n; ++j) {
        double step = 0;  // of the result when one byte of each of the hidden values that lie at a tie changes
        for (int64_t p = 0; p < hidden; ++p) {
          const double bytes = middle[i * hidden + p] / most * 127,
                       from_tie = std::abs(bytes - std::floor(bytes) - 0.5);
          if (from_tie * most / 127 < 1e-4) step += most / 127 * (std::abs(f.w2[p * n + j]) + 0.02);
        }
        ASSERT_NEAR(got[i * (n + 1) + j], want[i * n + j], 1.01 * step + 5e-4 + 1e-5 * std::abs(want[i * n + j]))
            << m << ": " << i << "," << j;
      }
      ASSERT_EQ(got[i * (n + 1) + n], 77) << "written beyond the row";
    }
  }
}

TEST(FeedForwardBf16, IsTheProductOfTheRoundedHiddenValues) {
  for (const auto& [m, k, hidden, n] :
       {std::array<int64_t, 4>{1, 5, 7, 3}, {3, 70, 33, 40}, {60, 32, 130, 65}, {250, 48, 192, 48}}) {
    const FeedForward<Bf16Matrix> f{m, k, hidden, n};
    const auto rounded = [](double x) { return to_float(to_bfloat16(x)); };
    std::vector<float> middle(m * hidden), spread(m * hidden), want(m * n);
    gemm(m, f.a.data(), k, f.first, middle.data(), hidden, f.b1.data());
    for (size_t i = 0; i < middle.size(); ++i) {
      const double exact = exact_gelu(middle[i]), error = 6e-5 * std::max(1.0, std::abs(double(middle[i])) / 12);
      middle[i] = rounded(exact);
      spread[i] = std::max(rounded(exact + error) - middle[i], middle[i] - rounded(exact - error));
    }
    gemm(m, middle.data(), hidden, f.second, want.data(), n, f.b2.data());
    const auto got = f.run(0, m);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double error = 1e-4;
        for (int64_t p = 0; p < hidden; ++p) error += 1.01 * spread[i * hidden + p] * std::abs(f.w2[p * n + j]);
        ASSERT_NEAR(got[i * (n + 1) + j], want[i * n + j], error) << m << ": " << i << "," << j;
      }
      ASSERT_EQ(got[i * (n + 1) + n], 77) << "written beyond the row";
    }
  }
}

template <class Matrix> void check_feed_forward_bits() {
  const FeedForward<Matrix> f{540, 40, 150, 70};
  const int before = num_threads();
  set_num_threads(1);
  const auto want = f.run(0, f.m);
  for (const int threads : {1, 2, 4}) {
    set_num_threads(threads);
    for (const int64_t rows : {1, 2, 30, 100, 200, 480}) {
      const auto got = f.run(60, rows);
      EXPECT_EQ(std::memcmp(got.data(), want.data() + 60 * (f.n + 1), got.size() * sizeof(float)), 0)
          << threads << " threads, " << rows << " rows";
    }
  }
  set_num_threads(before);
}

TEST(FeedForwardInt8, BitsDependOnTheRowAloneForAnyNumberOfThreads) { check_feed_forward_bits<Int8Matrix>(); }
TEST(FeedForwardBf16, BitsDependOnTheRowAloneForAnyNumberOfThreads) { check_feed_forward_bits<Bf16Matrix>(); }

template <class Matrix> void check_refusal_and_nan(float bad) {
  FeedForward<Matrix> f{3, 8, 12, 5};
  std::vector<float> c(15);
  EXPECT_THROW(feed_forward(3, f.a.data(), 8, f.first, nullptr, f.first, nullptr, c.data(), 5), ValueError);
  f.a[8 + 3] = bad;
  const auto got = f.run(0, 3);
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t j = 0; j < 5; ++j) EXPECT_EQ(std::isnan(got[i * 6 + j]), i == 1) << i << "," << j;
  }
  feed_forward(0, nullptr, 8, f.first, nullptr, f.second, nullptr, nullptr, 5);
}

TEST(FeedForwardInt8, RefusesWeightsThatDoNotFitAndKeepsNanInItsRow) {
  check_refusal_and_nan<Int8Matrix>(std::numeric_limits<float>::infinity());
}
TEST(FeedForwardBf16, RefusesWeightsThatDoNotFitAndKeepsNanInItsRow) {
  check_refusal_and_nan<Bf16Matrix>(std::numeric_limits<float>::quiet_NaN());
}

TEST(GemmInt8, SumsOfExtremesDoNotSaturate) {
  const int64_t k = 4096;
  const std::vector<float> a(k, 1), b(k, -1);
  float c = 0;
  gemm(1, a.data(), k, Int8Matrix(Trans::yes, k, 1, b.data(), k), &c, 1);
  EXPECT_NEAR(c, -4096, 1e-3);
  const std::vector<float> minus(k, -1);
  gemm(1, minus.data(), k, Int8Matrix(Trans::yes, k, 1, b.data(), k), &c, 1);
  EXPECT_NEAR(c, 4096, 1e-3);
}

TEST(GemmInt8, InfinityAndNanGiveNanOnlyInTheirRowAndColumn) {
  std::vector<float> a = numbers<float>(3 * 40, 1), b = numbers<float>(40 * 5, 2), c(15);
  a[40 + 3] = std::numeric_limits<float>::infinity();
  b[7 * 5 + 4] = std::numeric_limits<float>::quiet_NaN();
  gemm(3, a.data(), 40, Int8Matrix(Trans::no, 40, 5, b.data(), 5), c.data(), 5);
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t j = 0; j < 5; ++j) EXPECT_EQ(std::isnan(c[i * 5 + j]), i == 1 || j == 4) << i << "," << j;
  }
}

TEST(GemmInt8, ZerosAndEmptyMatrices) {
  const std::vector<float> zero(64, 0), bias = {1, 2};
  std::vector<float> c(2, 9);
  gemm(1, zero.data(), 32, Int8Matrix(Trans::yes, 32, 2, zero.data(), 32), c.data(), 2, bias.data());
  EXPECT_EQ(c, bias);
  c.assign(2, 9);
  gemm(1, nullptr, 0, Int8Matrix(Trans::yes, 0, 2, nullptr, 0), c.data(), 2, bias.data());
  EXPECT_EQ(c, bias);
  gemm(1, zero.data(), 0, Int8Matrix(), c.data(), 0);
  EXPECT_THROW(Int8Matrix(Trans::no, Int8Matrix::kMaxRows + 1, 1, nullptr, 1), ValueError);
  EXPECT_THROW(Bf16Matrix(Trans::no, 1, -1, nullptr, 1), ValueError);
}

TEST(GemmBf16, IsWithinTheBoundOfSumsInFloat) {
  for (const Size s : kSizes) {
    const auto a = numbers<float>(s.m * s.k, 1), b = numbers<float>(s.k * s.n, 2), bias = numbers<float>(s.n, 3);
    std::vector<float> c(s.m * s.n);
    gemm(s.m, a.data(), s.k, Bf16Matrix(Trans::no, s.k, s.n, b.data(), s.n), c.data(), s.n, bias.data());
    for (int64_t i = 0; i < s.m; ++i) {
      for (int64_t j = 0; j < s.n; ++j) {
        double want = bias[j], magnitude = std::abs(bias[j]);
        for (int64_t p = 0; p < s.k; ++p) {
          const double product = double(to_float(to_bfloat16(a[i * s.k + p]))) * to_float(to_bfloat16(b[p * s.n + j]));
          want += product;
          magnitude += std::abs(product);
        }
        // γ of k + 2 roundings (Higham 2002, §3.1). vdpbf16ps may round the two products of a pair and their sums
        // separately.
        const double u = std::numeric_limits<float>::epsilon() / 2, rounded = 2 * double(s.k + 2) * u;
        ASSERT_NEAR(c[i * s.n + j], want, rounded / (1 - rounded) * magnitude) << s.m << "x" << s.n << "x" << s.k;
      }
    }
  }
}

std::vector<BFloat16> in_bf16(const std::vector<float>& x) {
  std::vector<BFloat16> out;
  for (const float value : x) out.push_back(to_bfloat16(value));
  return out;
}

TEST(GemmBf16, OperandsAndResultsInBf16AreTheRoundedOnes) {
  for (const Size s : kSizes) {
    const auto a = numbers<float>(s.m * s.k, 1), b = numbers<float>(s.k * s.n, 2), bias = numbers<float>(s.n, 3);
    const Bf16Matrix matrix(Trans::no, s.k, s.n, b.data(), s.n);
    std::vector<float> want(s.m * s.n), c(s.m * s.n);
    gemm(s.m, a.data(), s.k, matrix, want.data(), s.n, bias.data());
    std::vector<BFloat16> rounded(s.m * (s.n + 1), BFloat16{77});
    const JoinedProduct<Bf16Matrix, BFloat16> product{&matrix, bias.data(), rounded.data()};
    gemm_joined(s.m, a.data(), s.k, std::span(&product, 1), s.n + 1);
    for (int64_t i = 0; i < s.m; ++i) {
      for (int64_t j = 0; j < s.n; ++j) ASSERT_EQ(rounded[i * (s.n + 1) + j].bits, to_bfloat16(want[i * s.n + j]).bits);
      ASSERT_EQ(rounded[i * (s.n + 1) + s.n].bits, 77) << "written beyond the row";
    }
    const auto words = in_bf16(a);
    const auto multiply = [&] { gemm(s.m, words.data(), s.k, matrix, c.data(), s.n, bias.data()); };
    if (s.k % 2 != 0) {
      EXPECT_THROW(multiply(), ValueError);
      continue;
    }
    multiply();
    EXPECT_EQ(std::memcmp(c.data(), want.data(), c.size() * sizeof(float)), 0) << s.m << "x" << s.n << "x" << s.k;
  }
}

TEST(GemmBf16, RoundsToNearestEvenAndKeepsNan) {
  const float one_up = 1 + 1.0F / 256, tie_up = 1 + 3.0F / 256;  // ties between neighbours in bf16
  for (const float x : {1.0F, one_up, tie_up, -one_up, 3.4e38F, std::numeric_limits<float>::infinity()}) {
    float c = 0;
    const float unit = 1;
    gemm(1, &x, 1, Bf16Matrix(Trans::no, 1, 1, &unit, 1), &c, 1);
    EXPECT_EQ(c, to_float(to_bfloat16(x))) << x;
  }
  float nan = std::numeric_limits<float>::quiet_NaN(), c = 0;
  const float unit = 1;
  gemm(1, &nan, 1, Bf16Matrix(Trans::no, 1, 1, &unit, 1), &c, 1);
  EXPECT_TRUE(std::isnan(c));
}

template <class Matrix> void check_bits() {
  const int64_t m = 131, n = 100, k = 77;
  const auto a = numbers<float>(m * k, 1), b = numbers<float>(k * n, 2), bias = numbers<float>(n, 3);
  const Matrix packed(Trans::no, k, n, b.data(), n);
  const int before = num_threads();
  std::vector<float> want(m * n);
  set_num_threads(1);
  gemm(m, a.data(), k, packed, want.data(), n, bias.data());
  for (const int threads : {2, 4}) {
    std::vector<float> c(m * n);
    set_num_threads(threads);
    gemm(m, a.data(), k, packed, c.data(), n, bias.data());
    EXPECT_EQ(std::memcmp(c.data(), want.data(), c.size() * sizeof(float)), 0) << threads;
  }
  set_num_threads(before);
  for (const int64_t rows : {1, 2, 3, 5, 20}) {
    std::vector<float> c(rows * n);
    gemm(rows, a.data() + 60 * k, k, packed, c.data(), n, bias.data());
    EXPECT_EQ(std::memcmp(c.data(), want.data() + 60 * n, c.size() * sizeof(float)), 0) << rows;
  }
}

TEST(GemmBf16, BitsDependOnRowAndColumnAlone) { check_bits<Bf16Matrix>(); }
TEST(GemmInt8, BitsDependOnRowAndColumnAlone) { check_bits<Int8Matrix>(); }

}  // namespace
}  // namespace qing
