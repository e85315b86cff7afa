#include <qing/tensor/ops/low_precision.h>

#include <algorithm>
#include <cstring>
#include <span>
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
// The bytes of hidden values of a feed-forward that are in memory at a time: a part of L2.
constexpr int64_t kHiddenBytes = 512 << 10;

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

// What the products of a chunk of rows share. round(i, words) writes row i of A as words and returns its scale.
template <class Round> struct LeftOperand {
  int64_t groups, block_rows;
  void (*kernel)(const kernels::LowStrip&);
  Round round;
};
// Some compilers deduce nothing for an aggregate without it.
template <class Round> LeftOperand(int64_t, int64_t, void (*)(const kernels::LowStrip&), Round) -> LeftOperand<Round>;

// At most kQuantizedRows rows of A.
struct RoundedRows {
  const uint32_t* words;
  const float* scales;
  int64_t rows, groups;
};

template <class Round>
RoundedRows round_rows(const LeftOperand<Round>& left, int64_t row, int64_t rows, uint32_t* words, float* scales) {
  for (int64_t r = 0; r < rows; ++r) scales[r] = left.round(row + r, words + r * left.groups);
  return {words, scales, rows, left.groups};
}

// Columns `first` to `end` of C, from row `row` on. `strip` is the whole product; `first` begins a panel.
void multiply_rows(const RoundedRows& a, int64_t block_rows, void (*kernel)(const kernels::LowStrip&),
                   const kernels::LowStrip& strip, int64_t row, int64_t first, int64_t end) {
  const int64_t nr = kernels::low_precision().nr, most_rows = block_rows * kernels::low_precision().blocks,
                strips = (a.rows + most_rows - 1) / most_rows;
  const auto from = [](auto* p, int64_t j) { return p == nullptr ? nullptr : p + j; };
  kernels::LowStrip s = strip;
  s.groups = s.a_row = a.groups;
  s.ahead_step = ahead_step(nr * 4, strips);
  const int64_t step = strips == 1 ? end - first : nr;
  for (int64_t j = first; j < end; j += step) {
    s.columns = std::min(step, end - j);
    s.b = static_cast<const uint8_t*>(strip.b) + j * a.groups * 4;
    s.bias = from(strip.bias, j);
    s.b_scale = from(strip.b_scale, j);
    s.b_zero = from(strip.b_zero, j);
    for (int64_t q = 0; q < strips; ++q) {
      const int64_t r = a.rows * q / strips;
      s.ahead = q * s.ahead_step * a.groups;
      s.rows = a.rows * (q + 1) / strips - r;
      s.a = a.words + r * a.groups;
      s.a_scale = a.scales + r;
      s.c = strip.c + (row + r) * s.ldc + j;
      kernel(s);
    }
  }
}

using Activation = void (*)(int64_t n, float* x);

void exact_gelu(int64_t n, float* x) { kernels::apply(kernels::Unary::gelu, n, x, x); }

// Computes all products, whose columns are `strips[i].columns`. Without an activation it is null.
template <class Round>
void multiply(int64_t m, const LeftOperand<Round>& left, std::span<const kernels::LowStrip> strips,
              Activation activation) {
  const int64_t nr = kernels::low_precision().nr;
  const auto panels = [nr](const kernels::LowStrip& strip) { return (strip.columns + nr - 1) / nr; };
  int64_t all = 0, most = 0;
  for (const auto& strip : strips) {
    all += panels(strip);
    most = std::max(most, panels(strip));
  }
  if (all == 0) return;
  // A part has the same share of every product's columns: the heads of queries, keys and values stay together. An
  // instruction multiplies a whole group, so groups are the work of a part.
  for_parts(m, most * nr, left.groups * all / most, left.block_rows, nr, [&](const GemmPart& part) {
    const FlushDenormals flush;
    uint32_t* const words = packing_buffer<uint32_t>(std::min(part.rows, kQuantizedRows) * left.groups);
    float scales[kQuantizedRows];
    for (int64_t first = 0; first < part.rows; first += kQuantizedRows) {
      const int64_t rows = std::min(kQuantizedRows, part.rows - first), row = part.row + first;
      const RoundedRows rounded = round_rows(left, row, rows, words, scales);
      for (const auto& strip : strips) {
        const auto share = [&](int64_t column) { return panels(strip) * column / (most * nr) * nr; };
        const int64_t from = share(part.column), to = std::min(strip.columns, share(part.column + part.columns));
        if (from >= to) continue;
        multiply_rows(rounded, left.block_rows, left.kernel, strip, row, from, to);
        for (int64_t r = 0; activation != nullptr && r < rows; ++r) {
          activation(to - from, strip.c + (row + r) * strip.ldc + from);
        }
      }
    }
  });
}

auto left_operand(const Bf16Matrix& b, const float* a, int64_t lda) {
  const int64_t k = b.rows(), groups = words_of(k, 2);
  const auto& table = kernels::low_precision();
  return LeftOperand{groups, table.bf16_rows, table.bf16_strip, [=, &table](int64_t i, uint32_t* words) {
                       if (groups > 0) words[groups - 1] = 0;
                       table.round_to_bf16(k, a + i * lda, reinterpret_cast<uint16_t*>(words));
                       return 1.0F;
                     }};
}

auto left_operand(const Int8Matrix& b, const float* a, int64_t lda) {
  const int64_t k = b.rows(), groups = words_of(k, 4);
  const auto& table = kernels::low_precision();
  return LeftOperand{groups, table.bytes_rows, table.bytes_strip, [=, &table](int64_t i, uint32_t* words) {
                       if (groups > 0) words[groups - 1] = 0;
                       return table.quantize(k, a + i * lda, reinterpret_cast<uint8_t*>(words));
                     }};
}

kernels::LowStrip strip_of(const Bf16Matrix& b, const float* bias, float* c, int64_t ldc) {
  return {.columns = b.columns(), .b = b.words(), .c = c, .ldc = ldc, .bias = bias};
}

kernels::LowStrip strip_of(const Int8Matrix& b, const float* bias, float* c, int64_t ldc) {
  kernels::LowStrip strip{.columns = b.columns(), .b = b.words(), .c = c, .ldc = ldc, .bias = bias};
  if (b.columns() == 0) return strip;
  strip.b_scale = b.scales();
  strip.b_zero = b.zeros();
  return strip;
}

template <class Matrix>
void multiply_joined(int64_t m, const float* a, int64_t lda, std::span<const JoinedProduct<Matrix>> products,
                     int64_t ldc) {
  if (products.empty()) return;
  std::vector<kernels::LowStrip> strips;
  strips.reserve(products.size());
  for (const auto& product : products) {
    if (product.b->rows() != products.front().b->rows()) {
      throw ValueError("gemm_joined: matrices of " + std::to_string(products.front().b->rows()) + " and " +
                       std::to_string(product.b->rows()) + " rows");
    }
    strips.push_back(strip_of(*product.b, product.bias, product.c, ldc));
  }
  multiply(m, left_operand(*products.front().b, a, lda), std::span<const kernels::LowStrip>(strips), nullptr);
}

template <class Matrix>
void multiply_one(int64_t m, const float* a, int64_t lda, const Matrix& b, float* c, int64_t ldc, const float* bias,
                  Activation activation) {
  const kernels::LowStrip strip = strip_of(b, bias, c, ldc);
  multiply(m, left_operand(b, a, lda), std::span(&strip, 1), activation);
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
      scales_(Tensor::zeros({round_up(n, kernels::low_precision().nr)})),
      zeros_(Tensor::zeros(scales_.shape(), DType::i32)) {
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
  multiply_one(m, a, lda, b, c, ldc, bias, gelu ? exact_gelu : nullptr);
}

void gemm(int64_t m, const float* a, int64_t lda, const Int8Matrix& b, float* c, int64_t ldc, const float* bias,
          bool gelu) {
  multiply_one(m, a, lda, b, c, ldc, bias, gelu ? exact_gelu : nullptr);
}

void gemm_joined(int64_t m, const float* a, int64_t lda, std::span<const JoinedProduct<Bf16Matrix>> products,
                 int64_t ldc) {
  multiply_joined<Bf16Matrix>(m, a, lda, products, ldc);
}

void gemm_joined(int64_t m, const float* a, int64_t lda, std::span<const JoinedProduct<Int8Matrix>> products,
                 int64_t ldc) {
  multiply_joined<Int8Matrix>(m, a, lda, products, ldc);
}

void feed_forward(int64_t m, const float* a, int64_t lda, const Int8Matrix& w1, const float* b1, const Int8Matrix& w2,
                  const float* b2, float* c, int64_t ldc) {
  const int64_t hidden = w1.columns();
  if (w2.rows() != hidden) {
    throw ValueError("feed_forward: weights of " + std::to_string(hidden) + " columns and " +
                     std::to_string(w2.rows()) + " rows");
  }
  const auto& table = kernels::low_precision();
  // Few rows are not split: every thread would read all weights.
  if (num_threads() > 1 && m < 2 * table.bytes_rows * num_threads()) {
    const Tensor middle = Tensor::empty({m, hidden});
    multiply_one(m, a, lda, w1, middle.data<float>(), hidden, b1, table.rough_gelu);
    return gemm(m, middle.data<float>(), hidden, w2, c, ldc, b2);
  }
  // Each row of hidden values is padded by a cache line, so that the rows do not share a few sets of the cache.
  const int64_t step = hidden + 16, strips = std::max<int64_t>(4, kHiddenBytes / 4 / step / table.bytes_rows);
  const int64_t chunk = std::min(kQuantizedRows, strips * table.bytes_rows);
  const auto outer = left_operand(w1, a, lda);
  const kernels::LowStrip narrow = strip_of(w2, b2, c, ldc);
  parallel_for(m, table.bytes_rows, [&](int64_t begin, int64_t end) {
    const FlushDenormals flush;
    const Tensor middle = Tensor::empty({std::min(chunk, end - begin), step});
    float* const values = middle.data<float>();
    const kernels::LowStrip wide = strip_of(w1, b1, values, step);
    const auto inside = left_operand(w2, values, step);
    uint32_t* const words = packing_buffer<uint32_t>(middle.size(0) * std::max(outer.groups, inside.groups));
    float scales[kQuantizedRows];
    for (int64_t row = begin; row < end; row += chunk) {
      const int64_t rows = std::min(chunk, end - row);
      multiply_rows(round_rows(outer, row, rows, words, scales), outer.block_rows, outer.kernel, wide, 0, 0, hidden);
      for (int64_t r = 0; r < rows; ++r) {
        table.rough_gelu(hidden, values + r * step);
        scales[r] = inside.round(r, words + r * inside.groups);
      }
      multiply_rows({words, scales, rows, inside.groups}, inside.block_rows, inside.kernel, narrow, row, 0,
                    w2.columns());
    }
  });
}

}  // namespace qing
