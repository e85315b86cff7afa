#include <qing/tensor/ops/gemm_blocks.h>

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include <qing/tensor/denormals.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// The most rows in a panel of A. Panels are packed in vectors of any ISA.
constexpr int64_t kPanelRows = 16;
// The distance of a panel's rows along the depth: chosen so that they do not share a few sets of the cache.
constexpr int64_t panel_step(int64_t depth) { return depth + 16; }
// The most columns of B that are computed at once, and the most bytes of it that are packed: a part of L3.
constexpr int64_t kColumns = 1024, kPackedBytes = 8 << 20;

int64_t l2_bytes() {
  static const int64_t bytes = std::clamp<int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE), 256 << 10, 2 << 20);
  return bytes;
}

// The number of memory lines that are packed across panels at a time.
constexpr int64_t kLines = 4;

// What is packed, and how much of C is computed at a time. The plan never changes the bits of a result.
struct Plan {
  bool pack_a, pack_b;
  int64_t columns;  // of B that are packed at once, over the whole depth
  int64_t strips;   // of rows whose A and C stay in L2 while panels of B stream past
};

template <class T> Plan plan_of(const GemmProduct<T>& product, const GemmPart& part, int64_t depth) {
  const auto& table = kernels::kernels<T>();
  const int64_t mr = table.mr, nr = table.nr, size = sizeof(T);
  const int64_t strips = (part.rows + mr - 1) / mr, panels = (part.columns + nr - 1) / nr;
  const GemmView<T>&a = product.a, &b = product.b;
  // Lines at a multiple of this distance share a few sets of the caches.
  const auto aliases = [&](int64_t step) { return step * size % 4096 == 0; };
  Plan plan;
  plan.pack_a = product.k > 0 && panels >= 4 && aliases(a.column == 1 ? a.row : a.column);
  plan.pack_b = false;
  if (product.k > 0 && product.packed_b == nullptr) {
    // Rows read in place are slow if they alias, or if each gives only one line to a panel.
    plan.pack_b = b.column != 1 || (strips >= 8 && aliases(b.row)) || (strips >= 40 && nr * size <= 64);
  }
  plan.columns = kColumns;
  if (plan.pack_b) {
    plan.columns = strips == 1 ? 2 * nr : std::clamp(kPackedBytes / size / product.k / nr * nr, nr, kColumns);
  }
  const int64_t strip_bytes = mr * size * (depth + std::min(plan.columns, part.columns)), share = l2_bytes() / 4;
  plan.strips = strips * strip_bytes <= share ? strips : std::max<int64_t>(1, share / strip_bytes);
  return plan;
}

// Sets the strip's A: in place, or (if `packed` is not null) packed so that its rows are close together.
template <class T>
void place_left(const GemmView<T>& a, int64_t i, int64_t p, const T* packed, kernels::GemmStrip<T>& strip) {
  strip.a = packed != nullptr ? packed : a.at(i, p);
  strip.a_row = a.row;
  strip.a_column = a.column;
  if (packed == nullptr) return;
  strip.a_row = a.column == 1 ? panel_step(strip.k) : 1;
  strip.a_column = a.column == 1 ? 1 : kPanelRows;
}

// Packs strips first to last, where strip r begins at row(r), one panel apart.
template <class T, class Row>
void pack_left(const GemmView<T>& a, int64_t first, int64_t last, const Row& row, int64_t p, int64_t depth,
               int64_t panel, T* packed) {
  if (a.column == 1) {
    for (int64_t r = first; r < last; ++r, packed += panel) {
      for (int64_t i = row(r); i < row(r + 1); ++i) {
        std::memcpy(packed + (i - row(r)) * panel_step(depth), a.at(i, p), static_cast<size_t>(depth) * sizeof(T));
      }
    }
    return;
  }
  // A few lines at a time through all strips, so that memory is read in order.
  for (int64_t q = 0; q < depth; q += kLines) {
    for (int64_t r = first; r < last; ++r) {
      kernels::kernels<T>().pack_rows(std::min(kLines, depth - q), row(r + 1) - row(r), a.at(row(r), p + q), a.column,
                                      kPanelRows, packed + (r - first) * panel + q * kPanelRows);
    }
  }
}

}  // namespace

template <class T>
void pack_block(const GemmView<T>& b, int64_t p, int64_t depth, int64_t column, int64_t columns, T* out) {
  const auto& table = kernels::kernels<T>();
  const int64_t nr = table.nr;
  // A few rows at a time through all panels, so that memory is read in order.
  const int64_t step = b.column == 1 ? kLines : depth;
  for (int64_t q = 0; q < depth; q += step) {
    for (int64_t j = 0; j < columns; j += nr) {
      const int64_t lines = std::min(nr, columns - j);
      T* const to = out + j * depth + q * nr;
      if (b.column == 1) {
        table.pack_rows(std::min(step, depth - q), lines, b.at(p + q, column + j), b.row, nr, to);
      } else {
        table.pack_columns(depth, lines, b.at(p, column + j), b.column, nr, to);
      }
    }
  }
}

// Few rows times a transposed B, read in place. Returns the number of columns of the part that were computed.
template <class T> int64_t GemmProduct<T>::compute_transposed_b(const GemmPart& part) const {
  const auto& table = kernels::kernels<T>();
  if (packed_b != nullptr || b.column == 1 || part.rows > table.transposed_b_rows) return 0;
  // The columns of two vectors would share too few sets of the first cache.
  if (b.column * static_cast<int64_t>(sizeof(T)) % 2048 == 0) return 0;
  const int64_t block = gemm_block_depth(k), columns = part.columns / table.width * table.width;
  for (int64_t p = 0; p < k; p += block) {
    table.gemm_transposed_b_strip({.rows = part.rows,
                                   .columns = columns,
                                   .k = std::min(block, k - p),
                                   .a = a.at(part.row, p),
                                   .a_row = a.row,
                                   .a_column = a.column,
                                   .b = b.at(p, part.column),
                                   .b_row = 1,
                                   .b_panel = b.column,
                                   .c = c + part.row * ldc + part.column,
                                   .ldc = ldc,
                                   .bias = bias != nullptr && p + block >= k ? bias + part.column : nullptr,
                                   .accumulate = accumulate || p > 0});
  }
  for (int64_t i = 0; gelu != nullptr && i < part.rows; ++i) {
    const int64_t at = (part.row + i) * ldc + part.column;
    kernels::apply(table, kernels::Unary::gelu, columns, c + at, gelu + at);
  }
  return columns;
}

template <class T> void GemmProduct<T>::compute(const GemmPart& whole) const {
  const FlushDenormals flush;
  const int64_t done = k > 0 ? compute_transposed_b(whole) : 0;
  if (done < whole.columns) compute_packed({whole.row, whole.rows, whole.column + done, whole.columns - done});
}

template <class T> void GemmProduct<T>::compute_packed(const GemmPart& part) const {
  const auto& table = kernels::kernels<T>();
  const int64_t block = gemm_block_depth(k), nr = table.nr, panel = kPanelRows * panel_step(block);
  const Plan plan = plan_of(*this, part, block);
  const int64_t strips = (part.rows + table.mr - 1) / table.mr, end = part.column + part.columns;
  const int64_t left_size = plan.pack_a ? std::min(plan.strips, strips) * panel : 0;
  const int64_t right_size = plan.pack_b ? std::min(plan.columns, round_up(part.columns, nr)) * k : 0;
  T* const left = left_size + right_size > 0 ? packing_buffer<T>(left_size + right_size) : nullptr;
  T* const right = plan.pack_b ? left + left_size : nullptr;
  // Strips of equal height, up to one row: a small remainder would leave registers idle.
  const int64_t height = part.rows / strips, higher = part.rows % strips;
  const auto row = [&](int64_t r) { return part.row + height * r + std::min(r, higher); };
  kernels::GemmStrip<T> s;
  s.ldc = ldc;
  for (int64_t j = part.column; j < end; j += plan.columns) {
    const int64_t columns = std::min(plan.columns, end - j), padded = round_up(columns, nr);
    for (int64_t p = 0; plan.pack_b && p < k; p += block) {
      pack_block(b, p, std::min(block, k - p), j, columns, right + p * padded);
    }
    for (int64_t first = 0; first < strips; first += plan.strips) {
      const int64_t after = std::min(strips, first + plan.strips);
      // One pass even if k is 0: C = 0 (+ bias).
      for (int64_t p = 0; p < std::max<int64_t>(k, 1); p += block) {
        s.k = std::min(block, k - p);
        s.accumulate = accumulate || p > 0;
        const bool packed = plan.pack_b || packed_b != nullptr;
        const T* const b_block = plan.pack_b ? right + p * padded
                                 : packed    ? packed_b + p * round_up(n, nr) + j * s.k
                                             : b.at(p, j);
        s.b_row = packed ? nr : b.row;
        s.b_panel = packed ? nr * s.k : nr;
        s.ahead_step = packed ? ahead_step(nr, after - first) : 0;
        if (plan.pack_a) pack_left(a, first, after, row, p, s.k, panel, left);
        const int64_t step = after - first == 1 ? columns : nr;
        for (int64_t q = 0; q < columns; q += step) {
          s.columns = std::min(step, columns - q);
          s.b = b_block + q / nr * s.b_panel;
          s.bias = bias != nullptr && p + block >= k ? bias + j + q : nullptr;
          for (int64_t r = first; r < after; ++r) {
            s.ahead = (r - first) * s.ahead_step * s.k;
            s.rows = row(r + 1) - row(r);
            s.c = c + row(r) * ldc + j + q;
            place_left(a, row(r), p, plan.pack_a ? left + (r - first) * panel : nullptr, s);
            table.gemm_strip(s);
          }
        }
      }
      if (gelu == nullptr) continue;
      for (int64_t i = row(first); i < row(after); ++i)
        kernels::apply(table, kernels::Unary::gelu, columns, c + i * ldc + j, gelu + i * ldc + j);
    }
  }
}

template <class T> T* packing_buffer(int64_t elements) {
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

template float* packing_buffer<float>(int64_t);
template double* packing_buffer<double>(int64_t);
template uint32_t* packing_buffer<uint32_t>(int64_t);

void for_parts(int64_t m, int64_t n, int64_t k, int64_t mr, int64_t nr,
               const std::function<void(const GemmPart&)>& body) {
  if (m <= 0 || n <= 0) return;
  const int64_t threads = m * n * k > kParallelWork ? num_threads() : 1;
  if (threads == 1) return body({0, m, 0, n});
  const int64_t strips = (m + mr - 1) / mr, panels = (n + nr - 1) / nr;
  // As many parts as threads, cut along the larger side first: this repeats the least packing.
  int64_t across = 1, down = 1;
  if (m >= n) {
    down = std::min(threads, strips);
    across = std::min(threads / down, panels);
  } else {
    across = std::min(threads, panels);
    down = std::min(threads / across, strips);
  }
  if (across * down == 1) return body({0, m, 0, n});
  parallel_for(across * down, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t y = part / across, x = part % across;
      const int64_t i = m * (strips * y / down) / strips, j = panels * x / across * nr;
      body({i, m * (strips * (y + 1) / down) / strips - i, j, std::min(n, panels * (x + 1) / across * nr) - j});
    }
  });
}

#define QING_INSTANTIATE(T)                                                                \
  template void pack_block<T>(const GemmView<T>&, int64_t, int64_t, int64_t, int64_t, T*); \
  template struct GemmProduct<T>;
QING_INSTANTIATE(float)
QING_INSTANTIATE(double)
#undef QING_INSTANTIATE

}  // namespace qing
