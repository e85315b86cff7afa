#include <qing/tensor/ops/bf16_words.h>

#include <algorithm>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/kernels/low_precision_strips.h>

namespace qing {

void round_lines(int64_t lines, int64_t depth, const float* from, int64_t stride, uint32_t* out, int64_t step) {
  for (int64_t i = 0; i < lines; ++i) {
    out[i * step + pairs_of(depth) - 1] = 0;
    kernels::low_precision().round_to_bf16(depth, from + i * stride, reinterpret_cast<uint16_t*>(out + i * step));
  }
}

void round_across(int64_t lines, int64_t depth, const float* from, int64_t stride, uint32_t* out, int64_t step) {
  for (int64_t g = 0; g < pairs_of(depth); ++g) {
    const float* const first = from + 2 * g * stride;
    kernels::low_precision().pair_bf16(lines, first, 2 * g + 1 < depth ? first + stride : nullptr, out + g * step);
  }
}

void transpose_words(int64_t rows, int64_t columns, const uint32_t* in, int64_t in_step, uint32_t* out,
                     int64_t out_step) {
  kernels::kernels<float>().transpose(rows, columns, reinterpret_cast<const float*>(in), in_step,
                                      reinterpret_cast<float*>(out), out_step);
}

void multiply_words(const WordProduct& product) {
  const auto& table = kernels::low_precision();
  const int64_t rows = product.rows, pairs = product.pairs, most_rows = table.bf16_rows * table.blocks,
                strips = (rows + most_rows - 1) / most_rows, step = strips == 1 ? product.columns : table.nr;
  kernels::LowStrip s{.groups = pairs, .a_row = product.a_row, .ldc = product.ldc, .accumulate = product.accumulate};
  for (int64_t j = 0; j < product.columns; j += step) {
    s.columns = std::min(step, product.columns - j);
    s.b = product.b + j * pairs;
    s.bias = product.bias != nullptr ? product.bias + j : nullptr;
    for (int64_t q = 0; q < strips; ++q) {
      const int64_t r = rows * q / strips;
      s.rows = rows * (q + 1) / strips - r;
      s.a = product.a + r * product.a_row;
      s.c = product.c + r * product.ldc + j;
      table.bf16_strip(s);
    }
  }
}

}  // namespace qing
