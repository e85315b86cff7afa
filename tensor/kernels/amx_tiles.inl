// The instructions of AMX. Their operands are tiles, which are named by numbers that the compiler must know.
#include <cstdint>
#include <utility>

namespace qing::kernels {
namespace {

// A tile has 16 rows of 64 bytes. As a part of A it holds 16 groups of 16 rows, as a part of B 16 groups of 16 columns,
// and as a part of C 16 × 16 sums.
constexpr int64_t kTileRows = 16, kTileGroups = 16, kTileBytes = 64;

// The operand of LDTILECFG.
struct alignas(64) TileShapes {
  uint8_t palette = 1, first_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

template <int Tile> void zero_tile() { asm volatile("tilezero %%tmm%c0" ::"i"(Tile)); }

template <int Tile> void load_tile(const void* from, int64_t step) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(step), "i"(Tile) : "memory");
}

template <int Tile> void store_tile(void* to, int64_t step) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(step), "i"(Tile) : "memory");
}

template <bool Bytes, int C, int A, int B> void add_products() {
  if constexpr (Bytes) {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
  } else {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
  }
}

// Calls f with 0 to Count − 1 as constants: the number of a tile is a part of the instruction.
template <int Count, class F> __attribute__((always_inline)) inline void for_constants(const F& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) { (f(std::integral_constant<int, I>()), ...); }
  (std::make_integer_sequence<int, Count>());
}

}  // namespace
}  // namespace qing::kernels
