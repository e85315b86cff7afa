// Attention in bf16 on the tiles of AMX. Included by isa_amx.cpp.
//
// A query's scores with all keys of its sequence lie in memory before its softmax, so that each sum has one order. Keys
// are packed like columns of a product's right operand and values like its rows, in panels of 32 columns, both filled
// up with zeros to a multiple of 32 keys.

// 2^x for x ≤ 0, within a relative 7.5e-5, or 0 below 2^-149: the results are rounded to bf16. A polynomial fitted to
// 2^r for 0 ≤ r < 1. NaN stays.
LowFloats rough_exp2(LowFloats x) {
  constexpr int kFraction = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
  const LowFloats r = {_mm512_reduce_ps(x.v, kFraction)};
  LowFloats p = fma(LowFloats::set1(0.0780245521F), r, LowFloats::set1(0.226067185F));
  p = fma(p, r, LowFloats::set1(0.695833491F));
  p = fma(p, r, LowFloats::set1(0.999925228F));
  return {_mm512_scalef_ps(p.v, x.v)};
}

class TileAttention {
  static constexpr int64_t kRows = kBf16AttentionRows, kColumns = kLowColumns;
  static_assert(kRows == 2 * kTileRows && kColumns == 2 * kTileGroups);
  static constexpr int64_t kPanelStep = kColumns * int64_t{sizeof(Word)};  // bytes from a group of a panel to the next

 public:
  TileAttention(const Bf16Attention& a, uint32_t* scratch)
      : a_(a),
        unit_(bf16_attention_scores(a.keys)),
        padded_(unit_ - 16),
        groups_(a.depth / 2),
        keys_(reinterpret_cast<Word*>(scratch)),
        values_(keys_ + padded_ * groups_),
        scores_(reinterpret_cast<float*>(values_ + padded_ * groups_)) {}

  void compute() {
    for (int64_t head = 0; head < a_.heads; ++head) {
      pack_keys(head * a_.depth);
      pack_values(head * a_.depth);
      for (int64_t i = 0; i < a_.queries; i += kRows) {
        const int64_t rows = a_.queries - i < kRows ? a_.queries - i : kRows;
        rows > kTileRows ? block<2>(head * a_.depth, i, rows) : block<1>(head * a_.depth, i, rows);
      }
    }
    asm volatile("tilerelease");
  }

 private:
  // Tiles 0 to 3 are sums, 4 and 5 rows of the left operand, 6 and 7 columns of the right one.
  template <int Row, int Vector> static constexpr int sum = 2 * Row + Vector;

  void configure(int64_t rows) {
    if (rows == configured_) return;
    configured_ = rows;
    TileShapes shapes;
    for (int tile = 0; tile < 8; ++tile) {
      const int64_t first = tile < 4 ? tile / 2 * kTileRows : tile < 6 ? (tile - 4) * kTileRows : 0;
      const int64_t left = tile < 6 ? rows - first : kTileRows;
      if (left <= 0) continue;  // unused
      shapes.row_bytes[tile] = kTileBytes;
      shapes.rows[tile] = static_cast<uint8_t>(left < kTileRows ? left : kTileRows);
    }
    asm volatile("ldtilecfg %0" ::"m"(shapes));
  }

  void pack_keys(int64_t column) {
    const auto* from = reinterpret_cast<const float*>(a_.k.data + column);
    const int64_t step = a_.k.step / 2;
    for (int64_t j = 0; j < a_.keys; j += kColumns) {
      const int64_t count = a_.keys - j < kColumns ? a_.keys - j : kColumns;
      kAvx512_f32.pack_columns(groups_, count, from + j * step, step, kColumns,
                               reinterpret_cast<float*>(keys_ + j * groups_));
    }
  }

  void pack_values(int64_t column) {
    const __m256i none = _mm256_setzero_si256();
    const auto part = [&](int64_t key, int64_t j) {
      return key < a_.keys
                 ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a_.v.data + key * a_.v.step + column + j))
                 : none;
    };
    for (int64_t j = 0; j < a_.depth; j += kTileGroups) {
      Word* to = values_ + j / kColumns * padded_ / 2 * kColumns + j % kColumns;
      for (int64_t key = 0; key < padded_; key += 2, to += kColumns) {
        const __m512i low = _mm512_cvtepu16_epi32(part(key, j)), high = _mm512_cvtepu16_epi32(part(key + 1, j));
        _mm512_store_si512(to, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
      }
    }
  }

  // The results of the queries from `query` on.
  template <int RowTiles> void block(int64_t column, int64_t query, int64_t rows) {
    configure(rows);
    const uint16_t* const q = a_.q.data + query * a_.q.step + column;
    for (int64_t j = 0; j < padded_; j += kColumns) {
      multiply<RowTiles>(q, a_.q.step * 2, keys_ + j * groups_, groups_, scores_ + j, unit_ * 4);
    }
    float factors[kRows];
    for (int64_t i = 0; i < rows; ++i) factors[i] = softmax(scores_ + i * unit_);
    alignas(64) float sums[kRows][kColumns];
    for (int64_t j = 0; j < a_.depth; j += kColumns) {
      multiply<RowTiles>(scores_, unit_ * 4, values_ + j * padded_ / 2, padded_ / 2, sums[0], kColumns * 4);
      uint16_t* to = a_.out.data + query * a_.out.step + column + j;
      for (int64_t i = 0; i < rows; ++i, to += a_.out.step) {
        const LowFloats factor = LowFloats::set1(factors[i]);
        store_bf16(LowFloats::load(sums[i]) * factor, to);
        store_bf16(LowFloats::load(sums[i] + LowFloats::width) * factor, to + LowFloats::width);
      }
    }
  }

  // c = A·B for a panel of B. Steps are in bytes.
  template <int RowTiles>
  static void multiply(const void* a, int64_t a_step, const Word* b, int64_t groups, float* c, int64_t c_step) {
    for_constants<RowTiles>(
        [](auto row) { for_constants<2>([row](auto vector) { zero_tile<sum<row(), vector()>>(); }); });
    for (int64_t g = 0; g < groups; g += kTileGroups) {
      const char* const left = static_cast<const char*>(a) + g * 4;
      for_constants<RowTiles>([=](auto row) { load_tile<4 + row()>(left + row() * kTileRows * a_step, a_step); });
      for_constants<2>([=](auto vector) {
        load_tile<6 + vector()>(b + g * kColumns + vector() * kTileGroups, kPanelStep);
        for_constants<RowTiles>(
            [vector](auto row) { add_products<false, sum<row(), vector()>, 4 + row(), 6 + vector()>(); });
      });
    }
    for_constants<RowTiles>([=](auto row) {
      char* const to = reinterpret_cast<char*>(c) + row() * kTileRows * c_step;
      for_constants<2>([=](auto vector) { store_tile<sum<row(), vector()>>(to + vector() * 64, c_step); });
    });
  }

  // Replaces a row of scores by weights in bf16 from the row's first byte on, and returns 1 / their sum.
  float softmax(float* s) const {
    constexpr int64_t width = LowFloats::width;
    constexpr float kHidden = -__builtin_inff(), kLog2OfE = 1.44269504F;
    const auto load = [this, s](int64_t j) {
      return j + width <= a_.keys ? LowFloats::load(s + j) : LowFloats::load_partial(s + j, a_.keys - j, kHidden);
    };
    LowFloats high = LowFloats::set1(kHidden);
    for (int64_t j = 0; j < a_.keys; j += width) high = max(high, load(j));
    const float factor = a_.scale * kLog2OfE;
    const LowFloats scale = LowFloats::set1(factor), shift = LowFloats::set1(-high.max() * factor);
    LowFloats sum = LowFloats::set1(0);
    auto* const weights = reinterpret_cast<uint16_t*>(s);
    int64_t j = 0;
    for (; j < a_.keys; j += width) {
      const LowFloats weight = rough_exp2(fma(load(j), scale, shift));
      sum = sum + weight;
      store_bf16(weight, weights + j);
    }
    for (; j < padded_; j += width) store_bf16(LowFloats::set1(0), weights + j);
    return 1 / sum.sum();
  }

  const Bf16Attention& a_;
  const int64_t unit_, padded_, groups_;
  Word *const keys_, *const values_;
  float* const scores_;
  int64_t configured_ = 0;
};

void amx_attention(const Bf16Attention& attention, uint32_t* scratch) { TileAttention(attention, scratch).compute(); }
