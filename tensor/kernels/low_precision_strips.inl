// Kernels of products in bytes and bf16, on the GroupWords of the including unit. The unit sets QING_LOW_ROWS, and
// QING_BF16_ROWS if it differs: rows × 2 sums have to fit into registers beside those that add_bytes or add_bf16 needs.
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

// Four neighbouring bytes, a type that may alias any other.
using Word __attribute__((may_alias)) = int32_t;

// Writes a row's sums to C. C does not overlap the inputs, and each element is accessed once.
template <bool Bytes, bool Bias>
__attribute__((always_inline)) inline void write_low_row(const LowStrip& s, int64_t row, int64_t column,
                                                         const int32_t* sums, int64_t columns) {
  float* const c = s.c + row * s.ldc + column;
  const float row_scale = Bytes ? s.a_scale[row] : 1;
  const bool accumulate = !Bytes && s.accumulate;
#pragma GCC ivdep
  for (int64_t j = 0; j < columns; ++j) {
    float value = 0;
    if constexpr (Bytes) {
      value = static_cast<float>(sums[j] - s.b_zero[column + j]) * row_scale * s.b_scale[column + j];
    } else {
      value = __builtin_bit_cast(float, sums[j]);
      if (accumulate) value = c[j] + value;
    }
    c[j] = Bias ? value + s.bias[column + j] : value;
  }
}

template <int Rows, bool Bytes> void low_tile(const LowStrip& s, int64_t column) {
  GroupWords sum[Rows][kLowVectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kLowVectors; ++j) sum[i][j] = GroupWords::zero();
  }
  const auto* a = static_cast<const Word*>(s.a);
  const auto* b = static_cast<const Word*>(s.b) + column * s.groups;
  const int64_t a_row = s.a_row;
  for (int64_t g = 0; g < s.groups; ++g, ++a, b += kLowColumns) {
    const GroupWords left = GroupWords::load(b), right = GroupWords::load(b + GroupWords::width);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const GroupWords x = GroupWords::set1(a[i * a_row]);
      sum[i][0] = Bytes ? add_bytes(sum[i][0], x, left) : add_bf16(sum[i][0], x, left);
      sum[i][1] = Bytes ? add_bytes(sum[i][1], x, right) : add_bf16(sum[i][1], x, right);
    }
  }
  alignas(64) int32_t sums[Rows][kLowColumns];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    sum[i][0].store(sums[i]);
    sum[i][1].store(sums[i] + GroupWords::width);
  }
  const int64_t columns = s.columns - column < kLowColumns ? s.columns - column : kLowColumns;
  for (int64_t i = 0; i < Rows; ++i) {
    s.bias == nullptr ? write_low_row<Bytes, false>(s, i, column, sums[i], columns)
                      : write_low_row<Bytes, true>(s, i, column, sums[i], columns);
  }
}

template <bool Bytes, int... Less> constexpr auto low_tiles(std::integer_sequence<int, Less...>) {
  return std::array<void (*)(const LowStrip&, int64_t), sizeof...(Less)>{low_tile<Less + 1, Bytes>...};
}

template <bool Bytes> void low_strip(const LowStrip& s) {
  static constexpr auto kTiles =
      low_tiles<Bytes>(std::make_integer_sequence < int, Bytes ? kBytesRows : kBf16Rows > ());
  for (int64_t j = 0; j < s.columns; j += kLowColumns) kTiles[s.rows - 1](s, j);
}

// Plain loops that the compiler vectorises with this unit's instructions.
float quantize_row(int64_t n, const float* x, uint8_t* y) {
  uint32_t most = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t magnitude = __builtin_bit_cast(uint32_t, x[i]) & 0x7FFFFFFFU;
    most = magnitude > most ? magnitude : most;
  }
  const bool finite = most < 0x7F800000U;
  const float scale = __builtin_bit_cast(float, most) / 127;
  // Adding 1.5·2^23 rounds to an integer in the low bits. A scale that is not a normal number counts as 0.
  constexpr float kMagic = 12582912.0F;
  const float inverse = finite && scale >= 1.17549435e-38F ? 1 / scale : 0;
  for (int64_t i = 0; i < n; ++i) {
    const float multiple = finite ? x[i] * inverse : 0.0F;
    y[i] = static_cast<uint8_t>(__builtin_bit_cast(uint32_t, multiple + kMagic) + 128);
  }
  return finite ? scale : __builtin_nanf("");
}

inline uint32_t bf16_bits(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  const uint32_t rounded = (bits + 0x7FFFU + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40U;
  return (bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet : rounded;
}

void round_to_bf16_row(int64_t n, const float* x, uint16_t* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<uint16_t>(bf16_bits(x[i]));
}

void pair_bf16_rows(int64_t n, const float* x, const float* y, uint32_t* out) {
  if (y == nullptr) {
    for (int64_t i = 0; i < n; ++i) out[i] = bf16_bits(x[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = bf16_bits(x[i]) | bf16_bits(y[i]) << 16;
  }
}

constexpr LowPrecision make_low_precision() {
  return {.bytes_rows = kBytesRows,
          .bf16_rows = kBf16Rows,
          .nr = kLowColumns,
          .bytes_strip = low_strip<true>,
          .bf16_strip = low_strip<false>,
          .quantize = quantize_row,
          .round_to_bf16 = round_to_bf16_row,
          .pair_bf16 = pair_bf16_rows};
}

}  // namespace
}  // namespace qing::kernels
