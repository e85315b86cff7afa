// Kernels of products in bytes and bf16, on the Vec<float> and the GroupWords of the including unit. The unit sets
// QING_LOW_ROWS, and QING_BF16_ROWS if it differs: rows × 2 sums have to fit into registers beside those that add_bytes
// or add_bf16 needs.
#include <array>
#include <utility>

#include <qing/tensor/kernels/low_precision_strips.h>
#include <qing/tensor/kernels/packed_dot.h>

#ifndef QING_BF16_ROWS
#define QING_BF16_ROWS QING_LOW_ROWS
#endif

namespace qing::kernels {
namespace {

constexpr int kBytesRows = QING_LOW_ROWS, kBf16Rows = QING_BF16_ROWS, kLowVectors = 2;
constexpr int64_t kLowColumns = kLowVectors * GroupWords::width;
// The most panels in a tile of one row.
constexpr int kFewRowsPanels = kBytesRows >= 8 ? 4 : 2;

// Four neighbouring bytes, a type that may alias any other.
using Word __attribute__((may_alias)) = int32_t;

using LowFloats = Vec<float>;

// The factors and biases of a vector of columns.
struct LowColumns {
  GroupWords zero;
  LowFloats scale, bias;
};

template <bool Bytes> LowColumns low_columns(const LowStrip& s, int64_t column, int64_t columns) {
  // The sum of a number and −0 has the number's bits.
  LowColumns c = {GroupWords::zero(), LowFloats::set1(1), LowFloats::set1(-0.0F)};
  if constexpr (Bytes) {
    c.zero = GroupWords::load(s.b_zero + column);
    c.scale = LowFloats::load(s.b_scale + column);
  }
  if (s.bias == nullptr) return c;
  c.bias = columns >= LowFloats::width ? LowFloats::load(s.bias + column)
                                       : LowFloats::load_partial(s.bias + column, columns, 0);
  return c;
}

// The result of a row's sums. `so_far` is C.
template <bool Bytes, class Load>
__attribute__((always_inline)) inline LowFloats low_result(const LowStrip& s, int64_t row, GroupWords sum,
                                                           const LowColumns& columns, Load so_far) {
  if constexpr (Bytes) {
    return (sum - columns.zero).converted() * LowFloats::set1(s.a_scale[row]) * columns.scale + columns.bias;
  } else {
    return (s.accumulate ? so_far() + sum.floats() : sum.floats()) + columns.bias;
  }
}

// Rows × Panels·kLowColumns elements of C. Few rows need several panels, whose sums hide the latency of a product.
template <int Rows, int Panels, bool Bytes> void low_tile(const LowStrip& s, int64_t column) {
  constexpr int vectors = Panels * kLowVectors;
  GroupWords sum[Rows][vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) sum[i][j] = GroupWords::zero();
  }
  const auto* a = static_cast<const Word*>(s.a);
  const auto* b = static_cast<const Word*>(s.b) + column * s.groups;
  const int64_t a_row = s.a_row, panel = s.groups * kLowColumns;
  const char* ahead = reinterpret_cast<const char*>(b + panel) + s.ahead;
  for (int64_t g = 0; g < s.groups; ++g, ++a, b += kLowColumns, ahead += s.ahead_step) {
    if constexpr (Panels == 1) __builtin_prefetch(ahead, 0, 2);
    GroupWords right[vectors];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) {
      right[j] = GroupWords::load(b + j / kLowVectors * panel + j % kLowVectors * GroupWords::width);
    }
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const GroupWords x = GroupWords::set1(a[i * a_row]);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) {
        sum[i][j] = Bytes ? add_bytes(sum[i][j], x, right[j]) : add_bf16(sum[i][j], x, right[j]);
      }
    }
  }
  // With few registers the compiler would spill sums inside of the loop above to have them here.
  alignas(64) int32_t memory[Rows][vectors][GroupWords::width];
  constexpr bool in_memory = kVectorRegisters < 32;
#pragma GCC unroll 16
  for (int i = 0; in_memory && i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) sum[i][j].store(memory[i][j]);
  }
  if constexpr (in_memory) asm("" : "+m"(memory));
  const auto sum_of = [&](int i, int j) { return in_memory ? GroupWords::load(memory[i][j]) : sum[i][j]; };
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) {
    const int64_t first = column + j * LowFloats::width, left = s.columns - first;
    if (left <= 0) return;
    const LowColumns columns = low_columns<Bytes>(s, first, left);
    float* c = s.c + first;
    if (left >= LowFloats::width) {
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i, c += s.ldc) {
        low_result<Bytes>(s, i, sum_of(i, j), columns, [c] { return LowFloats::load(c); }).store(c);
      }
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i, c += s.ldc) {
        const auto so_far = [c, left] { return LowFloats::load_partial(c, left, 0); };
        low_result<Bytes>(s, i, sum_of(i, j), columns, so_far).store_partial(c, left);
      }
    }
  }
}

constexpr int low_panels(int rows) { return rows == 1 ? kFewRowsPanels : rows <= kFewRowsPanels / 2 ? 2 : 1; }

template <bool Bytes, int... Less> constexpr auto low_tiles(std::integer_sequence<int, Less...>) {
  return std::array<void (*)(const LowStrip&, int64_t), sizeof...(Less)>{
      low_tile<Less + 1, low_panels(Less + 1), Bytes>...};
}

// A plain loop that the compiler vectorises with this unit's instructions.
uint32_t largest_magnitude(int64_t n, const float* x) {
  int32_t most = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int32_t magnitude = __builtin_bit_cast(int32_t, x[i]) & 0x7FFFFFFF;
    most = magnitude > most ? magnitude : most;
  }
  return static_cast<uint32_t>(most);
}

float quantize_row(int64_t n, const float* x, uint8_t* y) {
  constexpr int64_t width = LowFloats::width;
  const uint32_t most = largest_magnitude(n, x);
  if (most >= 0x7F800000U) {
    __builtin_memset(y, 128, static_cast<size_t>(n));
    return __builtin_nanf("");
  }
  const float scale = __builtin_bit_cast(float, most) / 127;
  // A scale that is not a normal number counts as 0.
  const LowFloats inverse = LowFloats::set1(scale >= 1.17549435e-38F ? 1 / scale : 0);
  int64_t i = 0;
  for (; i + width <= n; i += width) store_bytes(LowFloats::load(x + i) * inverse, y + i);
  if (i < n) {
    uint8_t last[width];
    store_bytes(LowFloats::load_partial(x + i, n - i, 0) * inverse, last);
    for (int64_t j = 0; i + j < n; ++j) y[i + j] = last[j];
  }
  return scale;
}

// x·(1/2 + z·p(z²)) with z = x between ±4.3: a polynomial fitted (Lawson's reweighting) to the error of the result.
LowFloats rough_gelu(LowFloats x) {
  using V = LowFloats;
  constexpr float c[] = {0.398873687F,     -0.0662570447F,  0.00974834897F,   -0.00108547835F, 8.92384051e-05F,
                         -5.19544392e-06F, 2.00143134e-07F, -4.53095073e-09F, 4.5329053e-11F};
  const V z = max(V::set1(-4.3F), min(V::set1(4.3F), x)), square = z * z;  // NaN goes through both
  V p = V::set1(c[8]);
  for (int i = 7; i >= 0; --i) p = fma(p, square, V::set1(c[i]));
  return x * fma(z, p, V::set1(0.5F));
}

void rough_gelu_row(int64_t n, float* x) {
  constexpr int64_t width = LowFloats::width;
  int64_t i = 0;
  for (; i + width <= n; i += width) rough_gelu(LowFloats::load(x + i)).store(x + i);
  if (i < n) rough_gelu(LowFloats::load_partial(x + i, n - i, 0)).store_partial(x + i, n - i);
}

inline uint32_t bf16_bits(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  const uint32_t rounded = (bits + 0x7FFFU + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40U;
  return (bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet : rounded;
}

void round_to_bf16_row(int64_t n, const float* x, uint16_t* y) {
#if defined(__AVX512BF16__)
  for (; n >= LowFloats::width; n -= LowFloats::width, x += LowFloats::width, y += LowFloats::width) {
    store_bf16(LowFloats::load(x), y);
  }
  if (n > 0) store_bf16_partial(LowFloats::load_partial(x, n, 0), y, n);
#else
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<uint16_t>(bf16_bits(x[i]));
#endif
}

void pair_bf16_rows(int64_t n, const float* x, const float* y, uint32_t* out) {
#if defined(__AVX512BF16__)
  using V = LowFloats;
  for (int64_t i = 0; i < n; i += V::width) {
    const __mmask16 lanes = V::first(n - i < V::width ? n - i : V::width);
    const V second = y == nullptr ? V::set1(0) : V::load_first(y + i, lanes);
    _mm512_mask_storeu_epi32(out + i, lanes, bf16_words(V::load_first(x + i, lanes), second).v);
  }
#else
  if (y == nullptr) {
    for (int64_t i = 0; i < n; ++i) out[i] = bf16_bits(x[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = bf16_bits(x[i]) | bf16_bits(y[i]) << 16;
  }
#endif
}

void gather_words_row(int64_t units, const int64_t* offsets, const uint32_t* from, int64_t panel, uint32_t* to) {
  constexpr int64_t unit = 8, step = kLowColumns < unit ? kLowColumns : unit;
  static_assert(kLowColumns % step == 0 && unit % step == 0);
  int64_t column = 0;
  for (int64_t u = 0; u < units; ++u) {
#pragma GCC unroll 8
    for (int64_t i = 0; i < unit; i += step, column += step) {
      if (column == kLowColumns) {
        column = 0;
        to += panel;
      }
      __builtin_memcpy(to + column, from + offsets[u] + i, step * sizeof(uint32_t));
    }
  }
}

// Computes a tile in memory of its own, from which its results are written in the way that the strip asks for. The tile
// has `columns` columns from `column` on, of which the strip may have fewer.
void converted_tile(void (*tile)(const LowStrip&, int64_t), const LowStrip& s, int64_t column, int64_t columns) {
  constexpr int64_t most = kFewRowsPanels * kLowColumns;
  alignas(64) float memory[kBytesRows > kBf16Rows ? kBytesRows : kBf16Rows][most];
  const auto from = [column](auto* p) { return p == nullptr ? nullptr : p + column; };
  if (columns > s.columns - column) columns = s.columns - column;
  LowStrip own = s;
  own.columns = columns;
  own.b = static_cast<const Word*>(s.b) + column * s.groups;
  own.bias = from(s.bias);
  own.b_scale = from(s.b_scale);
  own.b_zero = from(s.b_zero);
  own.c = memory[0];
  own.ldc = most;
  tile(own, 0);
  for (int64_t i = 0; i < s.rows; ++i) {
    if (s.rough_gelu) rough_gelu_row(columns, memory[i]);
    const int64_t to = i * s.ldc + column;
    if (s.c_bf16 != nullptr) {
      round_to_bf16_row(columns, memory[i], s.c_bf16 + to);
    } else {
      __builtin_memcpy(s.c + to, memory[i], static_cast<size_t>(columns) * sizeof(float));
    }
  }
}

template <bool Bytes> void low_strip(const LowStrip& s) {
  constexpr int most_rows = Bytes ? kBytesRows : kBf16Rows;
  static constexpr auto kTiles = low_tiles<Bytes>(std::make_integer_sequence<int, most_rows>());
  static constexpr auto kNarrow = std::array{low_tile<1, 1, Bytes>, low_tile<2, 1, Bytes>};
  const bool converted = s.rough_gelu || s.c_bf16 != nullptr;
  const auto compute = [&s, converted](auto tile, int64_t column, int64_t columns) {
    converted ? converted_tile(tile, s, column, columns) : tile(s, column);
  };
  const int64_t step = low_panels(static_cast<int>(s.rows)) * kLowColumns;
  int64_t j = 0;
  for (; j + step - kLowColumns < s.columns; j += step) compute(kTiles[s.rows - 1], j, step);
  // Panels that do not fill a wide tile.
  for (; j < s.columns; j += kLowColumns) compute(kNarrow[s.rows - 1], j, kLowColumns);
}

constexpr LowPrecision make_low_precision() {
  return {.bytes_rows = kBytesRows,
          .bf16_rows = kBf16Rows,
          .nr = kLowColumns,
          .blocks = 1,
          .chunk_rows = 112,
          .bytes_strip = low_strip<true>,
          .bf16_strip = low_strip<false>,
          .quantize = quantize_row,
          .rough_gelu = rough_gelu_row,
          .round_to_bf16 = round_to_bf16_row,
          .pair_bf16 = pair_bf16_rows,
          .gather_words = gather_words_row,
          .bf16_attention = nullptr};
}

}  // namespace
}  // namespace qing::kernels
