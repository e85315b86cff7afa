// Every shape from 1 to 70 in each dimension compared with sums in a wider type, with bounds derived from k.
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <type_traits>
#include <vector>

#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/random.h>

namespace qing {
namespace {

constexpr int64_t kMost = 70;

// The sum of the first k products and of their magnitudes, for every k: one table serves every shape.
template <class T> struct Sums {
  using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;
  std::vector<T> a, b, bias, c;  // kMost × kMost, row-major; bias of kMost
  std::vector<Wide> sum, magnitude;

  Sums() : sum(kMost * kMost * (kMost + 1)), magnitude(sum.size()) {
    Generator rng(7);
    for (auto* values : {&a, &b, &c, &bias}) {
      Tensor t = Tensor::empty({values == &bias ? kMost : kMost * kMost}, dtype_of<T>);
      rng.fill_normal(t, 0, 1);
      values->assign(t.template span<T>().begin(), t.template span<T>().end());
    }
    for (int64_t i = 0; i < kMost; ++i) {
      for (int64_t j = 0; j < kMost; ++j) {
        Wide s = 0, size = 0;
        for (int64_t k = 1; k <= kMost; ++k) {
          const Wide product = Wide(a[i * kMost + k - 1]) * Wide(b[(k - 1) * kMost + j]);
          sum[at(i, j, k)] = s += product;
          magnitude[at(i, j, k)] = size += std::abs(product);
        }
      }
    }
  }
  static size_t at(int64_t i, int64_t j, int64_t k) { return (i * kMost + j) * (kMost + 1) + k; }
};

template <class T> constexpr T kNan = std::numeric_limits<T>::quiet_NaN();

// The leading rows × columns of `from`, or their transpose, surrounded by NaN, so that reads outside the matrix show.
template <class T>
std::vector<T> fenced(const std::vector<T>& from, int64_t rows, int64_t columns, bool transposed, int64_t leading,
                      int64_t offset) {
  std::vector<T> out(offset + (transposed ? columns : rows) * leading, kNan<T>);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      out[offset + (transposed ? j * leading + i : i * leading + j)] = from[i * kMost + j];
    }
  }
  return out;
}

// One product. `variant` chooses the layout of the operands and the added terms.
template <class T> void check(const Sums<T>& sums, int64_t m, int64_t n, int64_t k, uint64_t variant) {
  using Wide = typename Sums<T>::Wide;
  const bool ta = (variant & 1) != 0, tb = (variant & 2) != 0, with_bias = (variant & 4) != 0;
  const bool accumulate = (variant & 8) != 0;
  const int64_t offset = variant >> 4 & 3, pad = variant >> 6 & 3;
  const int64_t lda = (ta ? m : k) + pad, ldb = (tb ? k : n) + pad, ldc = n + pad;
  const auto a = fenced(sums.a, m, k, ta, lda, offset), b = fenced(sums.b, k, n, tb, ldb, offset);
  std::vector<T> bias(sums.bias.begin(), sums.bias.begin() + n);
  auto c = fenced(sums.c, m, n, false, ldc, offset);
  c.resize(c.size() + 32, kNan<T>);
  if (!accumulate) std::fill(c.begin(), c.end(), kNan<T>);
  gemm<T>(ta ? Trans::yes : Trans::no, tb ? Trans::yes : Trans::no, m, n, k, a.data() + offset, lda, b.data() + offset,
          ldb, c.data() + offset, ldc, with_bias ? bias.data() : nullptr, accumulate);
  // Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., §3.1: n roundings make at most γ_n = nu / (1 −
  // nu).
  const Wide u = std::numeric_limits<T>::epsilon() / Wide(2), roundings = static_cast<Wide>(k + 2) * u;
  const Wide gamma = roundings / (1 - roundings);
  int64_t unwritten = 0;
  for (size_t at = 0; at < c.size(); ++at) {
    const int64_t from_start = static_cast<int64_t>(at) - offset, i = from_start / ldc, j = from_start % ldc;
    if (from_start < 0 || i >= m || j >= n) {
      ASSERT_TRUE(std::isnan(c[at])) << "written beside C: " << m << "x" << n << "x" << k << " variant " << variant;
      ++unwritten;
      continue;
    }
    const Wide before = accumulate ? sums.c[i * kMost + j] : 0, offset_j = with_bias ? bias[j] : 0;
    const Wide want = sums.sum[Sums<T>::at(i, j, k)] + before + offset_j;
    const Wide bound = gamma * (sums.magnitude[Sums<T>::at(i, j, k)] + std::abs(before) + std::abs(offset_j));
    ASSERT_LE(std::abs(Wide(c[at]) - want), bound)
        << "C[" << i << "," << j << "] of " << m << "x" << n << "x" << k << " variant " << variant;
  }
  ASSERT_EQ(unwritten, static_cast<int64_t>(c.size()) - m * n);
}

// All 343,000 shapes when QING_ALL_SHAPES is set, else one in 61, and all that are thin in a dimension and one in 7.
template <class T> void check_all() {
  const Sums<T> sums;
  const bool all = std::getenv("QING_ALL_SHAPES") != nullptr;
  int64_t checked = 0;
  for (int64_t m = 1; m <= kMost; ++m) {
    for (int64_t n = 1; n <= kMost; ++n) {
      for (int64_t k = 1; k <= kMost; ++k) {
        const uint64_t hash = static_cast<uint64_t>(m * 4903 + n * 70 + k) * 0x9E3779B97F4A7C15U >> 24;
        const bool thin = (m == 1 || n == 1 || k == 1) && hash % 7 == 0;
        if (!all && !thin && hash % 61 != 0) continue;
        check<T>(sums, m, n, k, hash >> 8);
        if (::testing::Test::HasFatalFailure()) return;
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 7000);
}

// Memory that ends where an unreadable page begins.
class Guarded {
 public:
  explicit Guarded(int64_t floats) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), bytes = static_cast<size_t>(floats) * sizeof(float);
    size_ = (bytes + page - 1) / page * page + page;
    start_ = static_cast<char*>(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (start_ == MAP_FAILED || mprotect(start_ + size_ - page, page, PROT_NONE) != 0) throw std::bad_alloc();
    data_ = reinterpret_cast<float*>(start_ + size_ - page - bytes);
  }
  ~Guarded() { munmap(start_, size_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  float* data() const { return data_; }

 private:
  char* start_;
  size_t size_;
  float* data_;
};

// A read or write beyond the end crashes the program.
TEST(GemmShapes, TouchNothingBeyondTheMatrices) {
  for (const int64_t m : {1, 3, 15, 33}) {
    for (const int64_t n : {1, 7, 16, 31, 37, 65}) {
      for (const int64_t k : {1, 5, 18, 64}) {
        const Guarded a(m * k), b(k * n), c(m * n), bias(n);
        for (const int mode : {0, 1, 2, 3}) {
          const bool ta = (mode & 1) != 0, tb = (mode & 2) != 0;
          gemm<float>(ta ? Trans::yes : Trans::no, tb ? Trans::yes : Trans::no, m, n, k, a.data(), ta ? m : k, b.data(),
                      tb ? k : n, c.data(), n, bias.data());
        }
        gemm<float>(Trans::no, m, a.data(), k, PackedMatrix<float>(Trans::no, k, n, b.data(), n), c.data(), n);
      }
    }
  }
}

TEST(GemmShapes, SmallOnesAreWithinTheBoundInFloat) { check_all<float>(); }
TEST(GemmShapes, SmallOnesAreWithinTheBoundInDouble) { check_all<double>(); }

}  // namespace
}  // namespace qing
