#include <qing/tensor/ops/low_precision.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <qing/tensor/denormals.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/kernels/low_precision_strips.h>
#include <qing/tensor/ops/gemm_blocks.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// Rows of A that are rounded at a time, so that their memory is bounded and stays in L2.
constexpr int64_t kQuantizedRows = 112;

int64_t words_of(int64_t k, int64_t per_word) { return (k + per_word - 1) / per_word; }

int64_t checked(int64_t k, int64_t n, int64_t most, const char* what) {
  if (k >= 0 && n >= 0 && k <= most) return k;
  throw ValueError(std::string(what) + ": " + std::to_string(k) + "×" + std::to_string(n) +
                   " is not a valid size; needs 0 to " + std::to_string(most) + " rows");
}

// Packs column by column: round(values, bytes, j) writes the k elements of column j, which fill `groups` words.
template <class Round>
Tensor pack_words(Trans trans, int64_t k, int64_t n, int64_t groups, const float* b, int64_t ldb, const Round& round) {
  const int64_t nr = kernels::low_precision().nr, panels = (n + nr - 1) / nr;
  Tensor packed = Tensor::zeros({panels * nr * groups * 4}, DType::u8);
  uint8_t* const out = packed.data<uint8_t>();
  parallel_for(n, nr, [&](int64_t begin, int64_t end) {
    std::vector<float> column(static_cast<size_t>(k));
    std::vector<uint8_t> bytes(static_cast<size_t>(groups * 4));
    for (int64_t j = begin; j < end; ++j) {
      for (int64_t p = 0; p < k; ++p) column[p] = trans == Trans::no ? b[p * ldb + j] : b[j * ldb + p];
      round(column.data(), bytes.data(), j);
      uint8_t* to = out + (j / nr * nr * groups + j % nr) * 4;
      for (int64_t g = 0; g < groups; ++g) std::memcpy(to + g * nr * 4, bytes.data() + g * 4, 4);
    }
  });
  return packed;
}

// round(row, words, r) rounds row i of A; r counts the rows in memory.
template <class Round>
void multiply(int64_t m, int64_t n, int64_t k, int64_t groups, kernels::LowStrip strip, int64_t most_rows,
              void (*kernel)(const kernels::LowStrip&), bool gelu, const Round& round) {
  const auto& table = kernels::low_precision();
  float* const c = strip.c;
  const auto from = [](auto* p, int64_t j) { return p == nullptr ? nullptr : p + j; };
  for_parts(m, n, k, most_rows, table.nr, [&](const GemmPart& part) {
    const FlushDenormals flush;
    thread_local std::vector<uint32_t> words;
    thread_local std::vector<float> scales;
    words.resize(static_cast<size_t>(std::min(part.rows, kQuantizedRows) * groups));
    scales.resize(static_cast<size_t>(kQuantizedRows));
    kernels::LowStrip s = strip;
    s.groups = groups;
    s.a_row = groups;
    for (int64_t first = 0; first < part.rows; first += kQuantizedRows) {
      const int64_t rows = std::min(kQuantizedRows, part.rows - first), strips = (rows + most_rows - 1) / most_rows;
      for (int64_t r = 0; r < rows; ++r) scales[r] = round(part.row + first + r, words.data() + r * groups);
      for (int64_t j = part.column; j < part.column + part.columns; j += table.nr) {
        s.columns = std::min(table.nr, part.column + part.columns - j);
        s.b = static_cast<const uint8_t*>(strip.b) + j * groups * 4;
        s.bias = from(strip.bias, j);
        s.b_scale = from(strip.b_scale, j);
        s.b_zero = from(strip.b_zero, j);
        for (int64_t q = 0; q < strips; ++q) {
          const int64_t r = rows * q / strips;
          s.rows = rows * (q + 1) / strips - r;
          s.a = words.data() + r * groups;
          s.a_scale = scales.data() + r;
          s.c = c + (part.row + first + r) * s.ldc + j;
          kernel(s);
        }
      }
      for (int64_t r = 0; gelu && r < rows; ++r) {
        float* const row = c + (part.row + first + r) * s.ldc + part.column;
        kernels::apply(kernels::Unary::gelu, part.columns, row, row);
      }
    }
  });
}

}  // namespace

Bf16Matrix::Bf16Matrix(Trans trans_b, int64_t k, int64_t n, const float* b, int64_t ldb)
    : k_(checked(k, n, INT64_MAX / 4, "Bf16Matrix")), n_(n) {
  const int64_t groups = words_of(k, 2);
  words_ = pack_words(trans_b, k, n, groups, b, ldb, [&](const float* x, uint8_t* out, int64_t) {
    kernels::low_precision().round_to_bf16(k, x, reinterpret_cast<uint16_t*>(out));
  });
}

Int8Matrix::Int8Matrix(Trans trans_b, int64_t k, int64_t n, const float* b, int64_t ldb)
    : k_(checked(k, n, kMaxRows, "Int8Matrix")),
      n_(n),
      scales_(Tensor::empty({n})),
      zeros_(Tensor::empty({n}, DType::i32)) {
  float* const scale = scales_.data<float>();
  int32_t* const zero = zeros_.data<int32_t>();
  words_ = pack_words(trans_b, k, n, words_of(k, 4), b, ldb, [&](const float* x, uint8_t* out, int64_t j) {
    scale[j] = kernels::low_precision().quantize(k, x, out);
    zero[j] = 0;
    for (int64_t p = 0; p < k; ++p) {
      zero[j] += 128 * (out[p] - 128);
      out[p] ^= 0x80;  // 128 + q as a signed byte
    }
  });
}

void gemm(int64_t m, const float* a, int64_t lda, const Bf16Matrix& b, float* c, int64_t ldc, const float* bias,
          bool gelu) {
  const int64_t k = b.rows(), groups = words_of(k, 2);
  const kernels::LowStrip strip{.b = b.words(), .c = c, .ldc = ldc, .bias = bias};
  const auto& table = kernels::low_precision();
  multiply(m, b.columns(), k, groups, strip, table.bf16_rows, table.bf16_strip, gelu, [&](int64_t i, uint32_t* words) {
    if (groups > 0) words[groups - 1] = 0;
    table.round_to_bf16(k, a + i * lda, reinterpret_cast<uint16_t*>(words));
    return 1.0F;
  });
}

void gemm(int64_t m, const float* a, int64_t lda, const Int8Matrix& b, float* c, int64_t ldc, const float* bias,
          bool gelu) {
  const int64_t k = b.rows(), groups = words_of(k, 4);
  const kernels::LowStrip strip{.b = b.words(),
                                .c = c,
                                .ldc = ldc,
                                .bias = bias,
                                .b_scale = b.columns() > 0 ? b.scales() : nullptr,
                                .b_zero = b.columns() > 0 ? b.zeros() : nullptr};
  const auto& table = kernels::low_precision();
  multiply(m, b.columns(), k, groups, strip, table.bytes_rows, table.bytes_strip, gelu,
           [&](int64_t i, uint32_t* words) {
             if (groups > 0) words[groups - 1] = 0;
             return table.quantize(k, a + i * lda, reinterpret_cast<uint8_t*>(words));
           });
}

}  // namespace qing
