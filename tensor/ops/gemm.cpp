#include <qing/tensor/ops/gemm.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// Depth of a block of the product. A constant: C is summed block by block, so the order of a sum depends on k alone.
constexpr int64_t kDepth = 256;
// Columns of B packed at a time: 1 MiB of f32, which L2 or a share of L3 holds.
constexpr int64_t kColumns = 1024;
// The largest register block of any ISA: rows of A packed at a time, on the stack.
constexpr int64_t kMaxRows = 16;

constexpr int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// Grow-only memory of one thread for packed B, so that no product allocates after the first.
template <class T>
T* packing_buffer(int64_t elements) {
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  thread_local std::unique_ptr<T, Free> buffer;
  thread_local int64_t capacity = 0;
  if (elements > capacity) {
    buffer.reset();
    capacity = 0;
    const auto bytes = static_cast<size_t>(round_up(elements * static_cast<int64_t>(sizeof(T)), 64));
    buffer.reset(static_cast<T*>(std::aligned_alloc(64, bytes)));
    if (buffer == nullptr) throw std::bad_alloc();
    capacity = elements;
  }
  return buffer.get();
}

// A matrix as the product sees it: element (i, j) of op(M).
template <class T>
struct View {
  const T* data;
  int64_t row, column;  // strides; one of them is 1

  const T* at(int64_t i, int64_t j) const { return data + i * row + j * column; }
};

/// out[p·unit + i] = line i of `in` at p, for `lines` lines of length k; the rest of each unit is zero. Lines lie
/// `step` apart and their elements `inner` apart.
template <class T>
void pack_panel(const T* in, int64_t step, int64_t inner, int64_t lines, int64_t k, int64_t unit, T* out) {
  if (step == 1) return kernels::kernels<T>().pack(k, lines, in, inner, unit, out);
  // Elements of a line are neighbours: four lines at a time, so that stores come in runs.
  int64_t i = 0;
  for (; i + 4 <= lines; i += 4) {
    const T *a = in + i * step, *b = a + step, *c = b + step, *d = c + step;
    T* to = out + i;
    for (int64_t p = 0; p < k; ++p, to += unit) {
      to[0] = a[p * inner];
      to[1] = b[p * inner];
      to[2] = c[p * inner];
      to[3] = d[p * inner];
    }
  }
  for (; i < lines; ++i) {
    for (int64_t p = 0; p < k; ++p) out[p * unit + i] = in[i * step + p * inner];
  }
  if (lines == unit) return;
  for (int64_t p = 0; p < k; ++p) std::fill(out + p * unit + lines, out + (p + 1) * unit, T(0));
}

// Runs body over 0..n, in parallel or on this thread.
template <class Body>
void over(bool parallel, int64_t n, const Body& body) {
  if (parallel) {
    parallel_for(n, 1, body);
  } else if (n > 0) {
    body(0, n);
  }
}

template <class T>
struct Product {
  const kernels::Table<T>& table = kernels::kernels<T>();
  View<T> a, b;
  int64_t m, n, k;
  T* c;
  int64_t ldc;
  const T* bias;
  bool accumulate, parallel;

  void run() const {
    for (int64_t j = 0; j < n; j += kColumns) {
      const int64_t columns = std::min(kColumns, n - j);
      // One pass even when k is 0: C = 0 (+ bias).
      for (int64_t p = 0; p < std::max<int64_t>(k, 1); p += kDepth) block(j, columns, p, std::min(kDepth, k - p));
    }
  }

  void block(int64_t j, int64_t columns, int64_t p, int64_t depth) const {
    const int64_t panels = round_up(columns, table.nr) / table.nr;
    T* const packed = packing_buffer<T>(panels * table.nr * kDepth);
    over(parallel && panels * depth > 2048, panels, [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) {
        const int64_t first = j + q * table.nr;
        pack_panel(b.at(p, first), b.column, b.row, std::min(table.nr, n - first), depth, table.nr,
                   packed + q * table.nr * depth);
      }
    });
    over(parallel, round_up(m, table.mr) / table.mr, [&](int64_t begin, int64_t end) {
      alignas(64) T lines[kMaxRows * kDepth];
      for (int64_t r = begin; r < end; ++r) {
        const int64_t i = r * table.mr, rows = std::min(table.mr, m - i);
        pack_panel(a.at(i, p), a.row, a.column, rows, depth, table.mr, lines);
        for (int64_t q = 0; q < panels; ++q) {
          const int64_t first = j + q * table.nr;
          table.gemm_micro(depth, lines, packed + q * table.nr * depth, c + i * ldc + first, ldc, rows,
                           std::min(table.nr, n - first), p == 0 && bias != nullptr ? bias + first : nullptr,
                           accumulate || p > 0);
        }
      }
    });
  }
};

// Below this many multiplications, waking another thread costs more than it saves.
constexpr int64_t kParallelWork = 1 << 17;

template <class T>
void multiply(Trans trans_a, Trans trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
              int64_t ldb, T* c, int64_t ldc, const T* bias, bool accumulate, bool parallel) {
  if (m <= 0 || n <= 0) return;
  const View<T> left = trans_a == Trans::no ? View<T>{a, lda, 1} : View<T>{a, 1, lda};
  const View<T> right = trans_b == Trans::no ? View<T>{b, ldb, 1} : View<T>{b, 1, ldb};
  Product<T>{.a = left,
             .b = right,
             .m = m,
             .n = n,
             .k = std::max<int64_t>(k, 0),
             .c = c,
             .ldc = ldc,
             .bias = bias,
             .accumulate = accumulate,
             .parallel = parallel && m * n * k > kParallelWork && num_threads() > 1}
      .run();
}

}  // namespace

template <class T>
void gemm(Trans trans_a, Trans trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
          int64_t ldb, T* c, int64_t ldc, const T* bias, bool accumulate) {
  multiply(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc, bias, accumulate, true);
}

template <class T>
void gemm_serial(Trans trans_a, Trans trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
                 int64_t ldb, T* c, int64_t ldc, const T* bias, bool accumulate) {
  multiply(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc, bias, accumulate, false);
}

#define QING_INSTANTIATE(T)                                                                                          \
  template void gemm<T>(Trans, Trans, int64_t, int64_t, int64_t, const T*, int64_t, const T*, int64_t, T*, int64_t, \
                        const T*, bool);                                                                             \
  template void gemm_serial<T>(Trans, Trans, int64_t, int64_t, int64_t, const T*, int64_t, const T*, int64_t, T*,   \
                               int64_t, const T*, bool);
QING_INSTANTIATE(float)
QING_INSTANTIATE(double)
#undef QING_INSTANTIATE

}  // namespace qing
