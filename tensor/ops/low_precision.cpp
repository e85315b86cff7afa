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

// The most rows of A that are rounded at a time.
constexpr int64_t kMostChunkRows = 256;
// The bytes of hidden values of a feed-forward that are in memory at a time: a part of L2. Values in f32 are rounded
// into memory of their own.
constexpr int64_t kHiddenBytes = 512 << 10, kHiddenBf16Bytes = 1 << 20;

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
  const uint32_t* words = nullptr;  // rows of A that are words already, `step` words apart; then nothing is rounded
  int64_t step = 0;
};
// Some compilers deduce nothing for an aggregate without it.
template <class Round>
LeftOperand(int64_t, int64_t, void (*)(const kernels::LowStrip&), Round, const uint32_t* = nullptr, int64_t = 0)
    -> LeftOperand<Round>;

// At most kMostChunkRows rows of A, `step` words apart.
struct RoundedRows {
  const uint32_t* words;
  const float* scales;
  int64_t rows, groups, step;
};

// `words` has memory for the rows, without a distance between them.
template <class Round>
RoundedRows round_rows(const LeftOperand<Round>& left, int64_t row, int64_t rows, uint32_t* words, float* scales) {
  if (left.words != nullptr) return {left.words + row * left.step, scales, rows, left.groups, left.step};
  for (int64_t r = 0; r < rows; ++r) scales[r] = left.round(row + r, words + r * left.groups);
  return {words, scales, rows, left.groups, left.groups};
}

// Columns `first` to `end` of C, from row `row` on. `strip` is the whole product; `first` begins a panel.
void multiply_rows(const RoundedRows& a, int64_t block_rows, void (*kernel)(const kernels::LowStrip&),
                   const kernels::LowStrip& strip, int64_t row, int64_t first, int64_t end) {
  const int64_t nr = kernels::low_precision().nr, most_rows = block_rows * kernels::low_precision().blocks,
                strips = (a.rows + most_rows - 1) / most_rows;
  const auto from = [](auto* p, int64_t j) { return p == nullptr ? nullptr : p + j; };
  kernels::LowStrip s = strip;
  s.groups = a.groups;
  s.a_row = a.step;
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
      s.a = a.words + r * a.step;
      s.a_scale = a.scales + r;
      s.c = from(strip.c, (row + r) * s.ldc + j);
      s.c_bf16 = from(strip.c_bf16, (row + r) * s.ldc + j);
      kernel(s);
    }
  }
}

// The rows of a chunk, of at most `most`: chunks have nearly equally many, in whole blocks.
int64_t chunk_of(int64_t rows, int64_t block_rows, int64_t most) {
  const int64_t chunks = std::max<int64_t>(1, (rows + most - 1) / most);
  return std::min(most, round_up((rows + chunks - 1) / chunks, block_rows));
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
    const int64_t chunk = chunk_of(part.rows, left.block_rows, kernels::low_precision().chunk_rows);
    uint32_t* const words = left.words == nullptr ? packing_buffer<uint32_t>(chunk * left.groups) : nullptr;
    float scales[kMostChunkRows];
    for (int64_t first = 0; first < part.rows; first += chunk) {
      const int64_t rows = std::min(chunk, part.rows - first), row = part.row + first;
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

// Rows of words that lie `step` words apart.
auto words_operand(const Bf16Matrix& b, const void* words, int64_t step) {
  using None = float (*)(int64_t, uint32_t*);
  const auto& table = kernels::low_precision();
  return LeftOperand{words_of(b.rows(), 2),
                     table.bf16_rows,
                     table.bf16_strip,
                     None(nullptr),
                     static_cast<const uint32_t*>(words),
                     step};
}

void set_result(kernels::LowStrip& strip, float* c) { strip.c = c; }
void set_result(kernels::LowStrip& strip, BFloat16* c) { strip.c_bf16 = reinterpret_cast<uint16_t*>(c); }

template <class Result> kernels::LowStrip strip_of(const Bf16Matrix& b, const float* bias, Result* c, int64_t ldc) {
  kernels::LowStrip strip{.columns = b.columns(), .b = b.words(), .ldc = ldc, .bias = bias};
  set_result(strip, c);
  return strip;
}

template <class Result> kernels::LowStrip strip_of(const Int8Matrix& b, const float* bias, Result* c, int64_t ldc) {
  kernels::LowStrip strip{.columns = b.columns(), .b = b.words(), .ldc = ldc, .bias = bias};
  set_result(strip, c);
  if (b.columns() == 0) return strip;
  strip.b_scale = b.scales();
  strip.b_zero = b.zeros();
  return strip;
}

template <class Matrix, class Result>
void multiply_joined(int64_t m, const float* a, int64_t lda, std::span<const JoinedProduct<Matrix, Result>> products,
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

void gemm(int64_t m, const BFloat16* a, int64_t lda, const Bf16Matrix& b, float* c, int64_t ldc, const float* bias) {
  if (b.rows() % 2 != 0 || lda % 2 != 0) {
    throw ValueError("gemm: rows of " + std::to_string(b.rows()) + " numbers in bf16 that lie " + std::to_string(lda) +
                     " apart; both must be even");
  }
  const kernels::LowStrip strip = strip_of(b, bias, c, ldc);
  multiply(m, words_operand(b, a, lda / 2), std::span(&strip, 1), nullptr);
}

void gemm_joined(int64_t m, const float* a, int64_t lda, std::span<const JoinedProduct<Bf16Matrix>> products,
                 int64_t ldc) {
  multiply_joined(m, a, lda, products, ldc);
}

void gemm_joined(int64_t m, const float* a, int64_t lda, std::span<const JoinedProduct<Int8Matrix>> products,
                 int64_t ldc) {
  multiply_joined(m, a, lda, products, ldc);
}

void gemm_joined(int64_t m, const float* a, int64_t lda, std::span<const JoinedProduct<Bf16Matrix, BFloat16>> products,
                 int64_t ldc) {
  multiply_joined(m, a, lda, products, ldc);
}

namespace {

// The hidden values of a feed-forward: GELU of the product by W1, as the left operand of the product by W2.
template <class Matrix> struct Hidden;

template <> struct Hidden<Int8Matrix> {
  static constexpr int64_t most_bytes = kHiddenBytes;
  using Element = float;
  static auto operand(const Int8Matrix& w2, const float* values, int64_t step) {
    return left_operand(w2, values, step);
  }
};

template <> struct Hidden<Bf16Matrix> {
  static constexpr int64_t most_bytes = kHiddenBf16Bytes;
  using Element = BFloat16;
  static auto operand(const Bf16Matrix& w2, const BFloat16* values, int64_t step) {
    return words_operand(w2, values, step / 2);
  }
};

template <class Matrix>
void compute_feed_forward(int64_t m, const float* a, int64_t lda, const Matrix& w1, const float* b1, const Matrix& w2,
                          const float* b2, float* c, int64_t ldc) {
  using Element = typename Hidden<Matrix>::Element;
  constexpr int64_t line = 64 / sizeof(Element), size = sizeof(Element);
  const int64_t hidden = w1.columns();
  if (w2.rows() != hidden) {
    throw ValueError("feed_forward: weights of " + std::to_string(hidden) + " columns and " +
                     std::to_string(w2.rows()) + " rows");
  }
  const auto& table = kernels::low_precision();
  const auto outer = left_operand(w1, a, lda);
  const kernels::LowStrip narrow = strip_of(w2, b2, c, ldc);
  // Rows of hidden values begin with cache lines. An odd number of lines lies between them, so that they do not share a
  // few sets of the cache.
  const int64_t lines = (hidden + line - 1) / line, step = (lines + 1 - lines % 2) * line;
  const auto memory = [&](int64_t rows) {
    Tensor values = Tensor::empty({rows, step}, dtype_of<Element>);
    // The word that a row's last number does not fill.
    for (int64_t r = 0; size == 2 && hidden % 2 != 0 && r < rows; ++r) values.data<Element>()[r * step + hidden] = {};
    return values;
  };
  const auto wide = [&](const Tensor& values) {
    kernels::LowStrip strip = strip_of(w1, b1, values.data<Element>(), step);
    strip.rough_gelu = true;
    return strip;
  };
  // Few rows are not split: every thread would read all weights.
  if (num_threads() > 1 && m < 2 * outer.block_rows * num_threads()) {
    const Tensor values = memory(m);
    const kernels::LowStrip first = wide(values);
    multiply(m, outer, std::span(&first, 1), nullptr);
    return multiply(m, Hidden<Matrix>::operand(w2, values.data<Element>(), step), std::span(&narrow, 1), nullptr);
  }
  const int64_t fit = std::max<int64_t>(4, Hidden<Matrix>::most_bytes / size / step / outer.block_rows);
  parallel_for(m, outer.block_rows, [&](int64_t begin, int64_t end) {
    const FlushDenormals flush;
    const int64_t chunk = chunk_of(end - begin, outer.block_rows, std::min(table.chunk_rows, fit * outer.block_rows));
    const Tensor values = memory(std::min(chunk, end - begin));
    const kernels::LowStrip first = wide(values);
    const auto inner = Hidden<Matrix>::operand(w2, values.data<Element>(), step);
    uint32_t* const words = packing_buffer<uint32_t>(values.size(0) * std::max(outer.groups, inner.groups));
    float scales[kMostChunkRows];
    for (int64_t row = begin; row < end; row += chunk) {
      const int64_t rows = std::min(chunk, end - row);
      multiply_rows(round_rows(outer, row, rows, words, scales), outer.block_rows, outer.kernel, first, 0, 0, hidden);
      multiply_rows(round_rows(inner, 0, rows, words, scales), inner.block_rows, inner.kernel, narrow, row, 0,
                    w2.columns());
    }
  });
}

}  // namespace

void feed_forward(int64_t m, const float* a, int64_t lda, const Int8Matrix& w1, const float* b1, const Int8Matrix& w2,
                  const float* b2, float* c, int64_t ldc) {
  compute_feed_forward(m, a, lda, w1, b1, w2, b2, c, ldc);
}

void feed_forward(int64_t m, const float* a, int64_t lda, const Bf16Matrix& w1, const float* b1, const Bf16Matrix& w2,
                  const float* b2, float* c, int64_t ldc) {
  compute_feed_forward(m, a, lda, w1, b1, w2, b2, c, ldc);
}

}  // namespace qing
