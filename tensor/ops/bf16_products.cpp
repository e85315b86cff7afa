#include <qing/tensor/ops/bf16_products.h>

#include <algorithm>

#include <qing/tensor/denormals.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/kernels/low_precision_strips.h>
#include <qing/tensor/ops/bf16_words.h>
#include <qing/tensor/ops/gemm_blocks.h>
#include <qing/tensor/ops/matmul.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// Rows of A that are rounded at a time, so that they stay in L2 with a panel of B.
constexpr int64_t kRoundedRows = 112;
constexpr int64_t kPackGrain = 16384;

// Packs all of op(B), block by block along the depth, each block in panels of nr columns as the kernel reads them.
Tensor pack_right(const GemmView<float>& b, int64_t k, int64_t n, int64_t block) {
  const int64_t nr = kernels::low_precision().nr, padded = round_up(n, nr);
  Tensor packed = Tensor::empty({k / block * pairs_of(block) + pairs_of(k % block), padded}, DType::i32);
  auto* const out = reinterpret_cast<uint32_t*>(packed.data<int32_t>());
  parallel_for(padded / nr, std::max<int64_t>(1, kPackGrain / (nr * k)), [&](int64_t begin, int64_t end) {
    for (int64_t p = 0; p < k; p += block) {
      const int64_t depth = std::min(block, k - p), pairs = pairs_of(depth);
      for (int64_t panel = begin; panel < end; ++panel) {
        const int64_t j = panel * nr, columns = std::min(nr, n - j);
        uint32_t* const to = out + p / 2 * padded + j * pairs;
        if (columns < nr) std::fill_n(to, nr * pairs, 0);
        if (b.column == 1) {
          round_across(columns, depth, b.at(p, j), b.row, to, nr);
        } else {
          uint32_t* const lines = packing_buffer<uint32_t>(nr * pairs);
          round_lines(columns, depth, b.at(p, j), b.column, lines, pairs);
          transpose_words(columns, pairs, lines, pairs, to, nr);
        }
      }
    }
  });
  return packed;
}

// Rows of op(A) from `row` on and one block of the depth: word g of row i is at i·line_step(pairs) + g.
const uint32_t* round_left(const GemmView<float>& a, int64_t row, int64_t rows, int64_t p, int64_t depth) {
  const int64_t pairs = pairs_of(depth), step = line_step(pairs);
  uint32_t* const words = packing_buffer<uint32_t>(kRoundedRows * (step + pairs));
  if (a.column == 1) {
    round_lines(rows, depth, a.at(row, p), a.row, words, step);
    return words;
  }
  uint32_t* const across = words + kRoundedRows * step;
  round_across(rows, depth, a.at(row, p), a.column, across, rows);
  transpose_words(pairs, rows, across, rows, words, step);
  return words;
}

struct Product {
  int64_t m, n, k;
  GemmView<float> a;
  const uint32_t* b;
  int64_t padded, block;
  float* c;
  int64_t ldc;
  const float* bias;
  bool accumulate;
  float* gelu;

  void compute(const GemmPart& part) const {
    const FlushDenormals flush;
    for (int64_t done = 0; done < part.rows; done += kRoundedRows) {
      const int64_t row = part.row + done, rows = std::min(kRoundedRows, part.rows - done);
      for (int64_t p = 0; p < k; p += block) compute_rows(part, row, rows, p);
      if (gelu == nullptr) continue;
      for (int64_t i = row; i < row + rows; ++i) {
        kernels::apply(kernels::Unary::gelu, part.columns, c + i * ldc + part.column, gelu + i * ldc + part.column);
      }
    }
  }

 private:
  void compute_rows(const GemmPart& part, int64_t row, int64_t rows, int64_t p) const {
    const int64_t depth = std::min(block, k - p), pairs = pairs_of(depth);
    multiply_words({.rows = rows,
                    .columns = part.columns,
                    .pairs = pairs,
                    .a = round_left(a, row, rows, p, depth),
                    .a_row = line_step(pairs),
                    .b = b + p / 2 * padded + part.column * pairs,
                    .c = c + row * ldc + part.column,
                    .ldc = ldc,
                    .bias = bias != nullptr && p + block >= k ? bias + part.column : nullptr,
                    .accumulate = accumulate || p > 0});
  }
};

struct RoundedOperand {
  Trans trans;
  int64_t leading;

  explicit RoundedOperand(const Tensor& x) {
    const int64_t rows = x.size(0), columns = x.size(1);
    const bool by_row = columns == 1 || x.strides()[1] == 1;
    trans = by_row ? Trans::no : Trans::yes;
    leading = by_row ? (rows == 1 ? columns : x.strides()[0]) : (columns == 1 ? rows : x.strides()[1]);
  }
};

}  // namespace

void gemm_bf16(Trans trans_a, Trans trans_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
               const float* b, int64_t ldb, float* c, int64_t ldc, const float* bias, bool accumulate, float* gelu) {
  // An empty sum is the same in any precision.
  if (k == 0) return gemm<float>(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc, bias, accumulate, gelu);
  const auto view = [](Trans trans, const float* data, int64_t leading) {
    return trans == Trans::no ? GemmView<float>{data, leading, 1} : GemmView<float>{data, 1, leading};
  };
  const auto& table = kernels::low_precision();
  const int64_t block = gemm_block_depth(k);
  const Tensor packed = pack_right(view(trans_b, b, ldb), k, n, block);
  const Product product{m,
                        n,
                        k,
                        view(trans_a, a, lda),
                        reinterpret_cast<const uint32_t*>(packed.data<int32_t>()),
                        round_up(n, table.nr),
                        block,
                        c,
                        ldc,
                        bias,
                        accumulate,
                        gelu};
  for_parts(m, n, k, table.bf16_rows, table.nr, [&](const GemmPart& part) { product.compute(part); });
}

void matmul_bf16_into(const Tensor& a, const Tensor& b, const Tensor& y, bool accumulate, const Tensor& bias,
                      const Tensor& gelu) {
  const Tensor left = gemm_readable(a), right = gemm_readable(b);
  const Tensor offset = bias.defined() ? bias.contiguous() : bias;
  const RoundedOperand of_a(left), of_b(right), of_y(y);
  gemm_bf16(of_a.trans, of_b.trans, left.size(0), right.size(1), left.size(1), left.data<float>(), of_a.leading,
            right.data<float>(), of_b.leading, y.data<float>(), of_y.leading,
            offset.defined() ? offset.data<float>() : nullptr, accumulate,
            gelu.defined() ? gelu.data<float>() : nullptr);
}

}  // namespace qing
