#include <qing/tensor/ops/bf16_products.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <qing/tensor/dtype.h>
#include <qing/tensor/random.h>
#include <qing/tensor/threads.h>

#include "tensor/numbers.h"

namespace qing {
namespace {

using test::numbers;

double rounded(float x) { return to_float(to_bfloat16(x)); }

struct Size {
  int64_t m, n, k;
};
// Beyond one block of the depth, odd depths, edges of strips and panels.
constexpr Size kSizes[] = {{1, 1, 1},    {3, 5, 7},   {14, 32, 64},  {15, 33, 65},
                           {113, 40, 9}, {7, 70, 31}, {29, 65, 513}, {130, 34, 1100}};

// The layouts of the operands: op(A) row-major, or its transpose.
struct Case {
  Size size;
  Trans trans_a, trans_b;
  std::vector<float> a = numbers<float>(size.m * size.k, 1), b = numbers<float>(size.k * size.n, 2),
                     bias = numbers<float>(size.n, 3);

  int64_t lda() const { return trans_a == Trans::no ? size.k : size.m; }
  int64_t ldb() const { return trans_b == Trans::no ? size.n : size.k; }
  float left(int64_t i, int64_t p) const { return a[trans_a == Trans::no ? i * size.k + p : p * size.m + i]; }
  float right(int64_t p, int64_t j) const { return b[trans_b == Trans::no ? p * size.n + j : j * size.k + p]; }
  std::vector<float> product(std::vector<float> c, bool accumulate) const {
    gemm_bf16(trans_a, trans_b, size.m, size.n, size.k, a.data(), lda(), b.data(), ldb(), c.data(), size.n, bias.data(),
              accumulate);
    return c;
  }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Size size : kSizes) {
    for (const Trans a : {Trans::no, Trans::yes}) {
      for (const Trans b : {Trans::no, Trans::yes}) all.push_back({size, a, b});
    }
  }
  return all;
}

TEST(GemmOfRoundedOperands, IsWithinTheBoundOfSumsInFloat) {
  for (const Case& one : cases()) {
    const Size s = one.size;
    for (const bool accumulate : {false, true}) {
      const std::vector<float> before = numbers<float>(s.m * s.n, 4), c = one.product(before, accumulate);
      for (int64_t i = 0; i < s.m; ++i) {
        for (int64_t j = 0; j < s.n; ++j) {
          double want = one.bias[j] + (accumulate ? double(before[i * s.n + j]) : 0.0), magnitude = std::abs(want);
          for (int64_t p = 0; p < s.k; ++p) {
            const double product = rounded(one.left(i, p)) * rounded(one.right(p, j));
            want += product;
            magnitude += std::abs(product);
          }
          // The same as in low_precision_test.cpp, plus one sum for each block of the depth.
          const double u = std::numeric_limits<float>::epsilon() / 2, gamma = 2 * double(s.k + 8) * u;
          ASSERT_NEAR(c[i * s.n + j], want, gamma / (1 - gamma) * (magnitude + std::abs(one.bias[j])))
              << s.m << "x" << s.n << "x" << s.k << " at " << i << "," << j;
        }
      }
    }
  }
}

TEST(GemmOfRoundedOperands, BitsDependOnNeitherThreadsNorLayoutNorOtherRows) {
  const int threads = num_threads();
  const Size s{130, 70, 700};
  const Case plain{s, Trans::no, Trans::no};
  set_num_threads(1);
  const std::vector<float> want = plain.product(std::vector<float>(s.m * s.n), false);
  for (const int count : {2, 3}) {
    set_num_threads(count);
    EXPECT_EQ(plain.product(std::vector<float>(s.m * s.n), false), want);
  }
  Case transposed{s, Trans::yes, Trans::yes};
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t p = 0; p < s.k; ++p) transposed.a[p * s.m + i] = plain.left(i, p);
  }
  for (int64_t p = 0; p < s.k; ++p) {
    for (int64_t j = 0; j < s.n; ++j) transposed.b[j * s.k + p] = plain.right(p, j);
  }
  EXPECT_EQ(transposed.product(std::vector<float>(s.m * s.n), false), want);
  std::vector<float> row(s.n);
  gemm_bf16(Trans::no, Trans::no, 1, s.n, s.k, plain.a.data() + 77 * s.k, s.k, plain.b.data(), s.n, row.data(), s.n,
            plain.bias.data());
  EXPECT_EQ(std::memcmp(row.data(), &want[77 * s.n], s.n * sizeof(float)), 0);
  set_num_threads(threads);
}

TEST(GemmOfRoundedOperands, GivesGeluBesideAndNothingForNoDepth) {
  const Case one{{20, 40, 30}, Trans::no, Trans::yes};
  std::vector<float> c(800), g(800);
  gemm_bf16(Trans::no, Trans::yes, 20, 40, 30, one.a.data(), 30, one.b.data(), 30, c.data(), 40, one.bias.data(), false,
            g.data());
  for (size_t i = 0; i < c.size(); ++i) EXPECT_NEAR(g[i], c[i] * 0.5 * (1 + std::erf(c[i] / std::sqrt(2.0))), 1e-5);
  gemm_bf16(Trans::no, Trans::no, 2, 40, 0, nullptr, 0, nullptr, 40, c.data(), 40, one.bias.data());
  EXPECT_EQ(c[45], one.bias[5]);
}

}  // namespace
}  // namespace qing
