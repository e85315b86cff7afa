// Products of bytes and of bf16, and attention in bf16, on the tiles of AMX (Intel, "Architecture Instruction Set
// Extensions Programming Reference", chapter 3). All other kernels of this ISA are those of AVX-512.
#define QING_LOW_ROWS 14
#include <qing/tensor/kernels/vec_avx512.h>

#include "amx_tiles.inl"
#include "low_precision_strips.inl"
#include "tables.h"

namespace qing::kernels {
namespace {

constexpr int64_t kBlockRows = 2 * kTileRows, kBlocks = 4;
// VNNI computes the sums of so few rows faster.
constexpr int64_t kVnniRows = 1;

// The tiles of a block of one or two tiles of rows. One tile of rows needs more columns at a time: a product has to
// wait for the sums before it, unless there are others in between.
template <int RowTiles> struct Tiles {
  static constexpr int panels = RowTiles == 1 ? 3 : 1, vectors = panels * kLowVectors;
  static constexpr int a = RowTiles * vectors, b = a + RowTiles, b_count = 8 - b;
  template <int Row, int Vector> static constexpr int sum = Row* vectors + Vector;

  static void configure(int64_t rows) {
    TileShapes shapes;
    const auto rows_of = [rows](int tile) {
      return static_cast<uint8_t>(rows - tile * kTileRows < kTileRows ? rows - tile * kTileRows : kTileRows);
    };
    for (int tile = 0; tile < 8; ++tile) {
      shapes.row_bytes[tile] = kTileBytes;
      shapes.rows[tile] = tile < a ? rows_of(tile / vectors) : tile < b ? rows_of(tile - a) : kTileRows;
    }
    asm volatile("ldtilecfg %0" ::"m"(shapes));
  }
};

template <bool Bytes, int RowTiles> class TileStrip {
  using T = Tiles<RowTiles>;

 public:
  explicit TileStrip(const LowStrip& s)
      : s_(s), last_(s.groups % kTileGroups), rows_(s.rows < kBlockRows ? s.rows : kBlockRows) {
    const auto* from = static_cast<const Word*>(s.a) + s.groups - last_;
    for (int64_t i = 0; last_ > 0 && i < s.rows; ++i) {
      __builtin_memcpy(last_a_[i], from + i * s.a_row, static_cast<size_t>(last_) * sizeof(Word));
      for (int64_t g = last_; g < kTileGroups; ++g) last_a_[i][g] = 0;
    }
  }

  void compute() {
    T::configure(rows_);
    int64_t j = 0;
    for (; j + (T::panels - 1) * kLowColumns < s_.columns; j += T::panels * kLowColumns) columns<T::panels>(j);
    // Panels that do not fill a wide block.
    for (; j < s_.columns; j += kLowColumns) columns<1>(j);
    // A thread that leaves its tiles in use costs the operating system 8 KB at every switch.
    asm volatile("tilerelease");
  }

 private:
  // All rows × Panels·kLowColumns elements of C.
  template <int Panels> void columns(int64_t column) {
    alignas(64) Word last[Panels][kTileGroups * kLowColumns];
    const int64_t whole = s_.groups - last_, panel = s_.groups * kLowColumns;
    const auto* b = static_cast<const Word*>(s_.b) + column * s_.groups;
    if (last_ > 0) {
      __builtin_memset(last, 0, sizeof(last));
      for (int p = 0; p < Panels; ++p) {
        __builtin_memcpy(last[p], b + p * panel + whole * kLowColumns,
                         static_cast<size_t>(last_ * kLowColumns) * sizeof(Word));
      }
    }
    const char* ahead = reinterpret_cast<const char*>(b + Panels * panel) + s_.ahead;
    // The last block may begin inside of the one before, so that it has as many rows.
    for (int64_t from = 0; from < s_.rows; from += rows_) {
      const int64_t first = from + rows_ > s_.rows ? s_.rows - rows_ : from;
      for_constants<RowTiles>([](auto row) {
        for_constants<Panels * kLowVectors>([row](auto vector) { zero_tile<T::template sum<row(), vector()>>(); });
      });
      const auto* a = static_cast<const Word*>(s_.a) + first * s_.a_row;
      for (int64_t g = 0; g < whole; g += kTileGroups) {
        add<Panels>(a + g, s_.a_row, b + g * kLowColumns, panel);
        if (Panels > 1 || from > 0) continue;
        for (int64_t i = 0; i < kTileGroups * s_.ahead_step; i += 64) __builtin_prefetch(ahead + i, 0, 2);
        ahead += kTileGroups * s_.ahead_step;
      }
      if (last_ > 0) add<Panels>(last_a_[first], kTileGroups, last[0], kTileGroups * kLowColumns);
      write<Panels>(column, first, from);
    }
  }

  // Adds the products of 16 groups to the sums.
  template <int Panels>
  __attribute__((always_inline)) static void add(const Word* a, int64_t a_row, const Word* b, int64_t panel) {
    for_constants<RowTiles>(
        [=](auto row) { load_tile<T::a + row()>(a + row() * kTileRows * a_row, a_row * int64_t{sizeof(Word)}); });
    for_constants<Panels * kLowVectors>([=](auto vector) {
      constexpr int tile = T::b + vector() % T::b_count;
      load_tile<tile>(b + vector() / kLowVectors * panel + vector() % kLowVectors * GroupWords::width,
                      kLowColumns * int64_t{sizeof(Word)});
      for_constants<RowTiles>(
          [vector](auto row) { add_products<Bytes, T::template sum<row(), vector()>, T::a + row(), tile>(); });
    });
  }

  // Writes the results of a block whose rows begin at `first`. Those before `from` were written with the block before.
  template <int Panels> void write(int64_t column, int64_t first, int64_t from) {
    constexpr int vectors = Panels * kLowVectors;
    alignas(64) int32_t sums[RowTiles * kTileRows][vectors * GroupWords::width];
    for_constants<RowTiles>([&sums](auto row) {
      for_constants<vectors>([&sums, row](auto vector) {
        store_tile<T::template sum<row(), vector()>>(&sums[row() * kTileRows][vector() * GroupWords::width],
                                                     sizeof(sums[0]));
      });
    });
    const auto finish = [&](auto gelu, auto bf16) {
      for (int j = 0; j < vectors && column + j * LowFloats::width < s_.columns; ++j) {
        write_vector<gelu(), bf16()>(column + j * LowFloats::width, from, first + rows_,
                                     &sums[from - first][j * GroupWords::width], vectors * GroupWords::width);
      }
    };
    const auto with_gelu = [&](auto gelu) {
      s_.c_bf16 != nullptr ? finish(gelu, std::true_type()) : finish(gelu, std::false_type());
    };
    s_.rough_gelu ? with_gelu(std::true_type()) : with_gelu(std::false_type());
  }

  // The results of a vector of columns for the rows `from` to `end`, whose sums lie `step` elements apart.
  template <bool Gelu, bool Bf16>
  void write_vector(int64_t column, int64_t from, int64_t end, const int32_t* sum, int64_t step) {
    const int64_t left = s_.columns - column;
    const LowColumns columns = low_columns<Bytes>(s_, column, left);
    const auto result = [&](int64_t row, const auto& so_far) {
      const LowFloats y = low_result<Bytes>(s_, row, GroupWords::load(sum), columns, so_far);
      return Gelu ? rough_gelu(y) : y;
    };
    const auto nothing = [] { return LowFloats::set1(0); };
    int64_t at = from * s_.ldc + column;
    for (int64_t i = from; i < end; ++i, at += s_.ldc, sum += step) {
      const bool whole = left >= LowFloats::width;
      if constexpr (Bf16) {
        const LowFloats y = result(i, nothing);
        whole ? store_bf16(y, s_.c_bf16 + at) : store_bf16_partial(y, s_.c_bf16 + at, left);
      } else {
        float* const c = s_.c + at;
        if (whole) {
          result(i, [c] { return LowFloats::load(c); }).store(c);
        } else {
          result(i, [c, left] { return LowFloats::load_partial(c, left, 0); }).store_partial(c, left);
        }
      }
    }
  }

  const LowStrip& s_;
  const int64_t last_;  // groups that do not fill a tile
  const int64_t rows_;  // of a block
  alignas(64) Word last_a_[kBlocks * kBlockRows][kTileGroups];
};

template <bool Bytes> void amx_strip(const LowStrip& s) {
  if (Bytes && s.rows <= kVnniRows) return low_strip<true>(s);
  s.rows <= kTileRows ? TileStrip<Bytes, 1>(s).compute() : TileStrip<Bytes, 2>(s).compute();
}

#include "amx_attention.inl"

constexpr LowPrecision make_amx() {
  LowPrecision table = make_low_precision();
  table.bytes_rows = table.bf16_rows = kBlockRows;
  table.blocks = kBlocks;
  table.chunk_rows = 2 * kBlocks * kBlockRows;
  table.bytes_strip = amx_strip<true>;
  table.bf16_strip = amx_strip<false>;
  table.bf16_attention = amx_attention;
  return table;
}

}  // namespace

constinit const LowPrecision kAmx_low = make_amx();

}  // namespace qing::kernels
