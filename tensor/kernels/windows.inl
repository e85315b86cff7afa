// The microkernel of convolutions. Included by kernels.inl.
//
// It is GEMM's tile with a second level of depth: the elements of a window lie in several runs of memory, one for each
// of its rows, and the sums stay in registers from run to run. So no window is copied. Rows of C are pixels, and
// columns are filters. Edges are handled as in gemm.inl, and no memory outside the operands is accessed.

template <class T, int Rows, int Vectors, bool Masked> void window_tile(const WindowStrip<T>& s, int64_t column) {
  using V = Vec<T>;
  constexpr int kLast = Vectors - 1;
  constexpr int kGroups = (Rows + 2) / 3;
  const auto lanes = V::first(Masked ? s.columns - column - kLast * V::width : V::width);
  V sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) sum[i][j] = V::set1(0);
  }
  const T *run_a = s.a, *run_b = s.b + column / (kTileVectors * V::width) * s.b_panel;
  const int64_t a_row = s.a_row, a_column = s.a_column, b_row = s.b_row;
  for (int64_t r = 0; r < s.runs; ++r, run_a += s.a_run, run_b += s.b_run) {
    const T* a[kGroups];
#pragma GCC unroll 8
    for (int64_t g = 0; g < kGroups; ++g) a[g] = run_a + 3 * g * a_row;
    const T* b = run_b;
    for (int64_t p = 0; p < s.k; ++p) {
      V row[Vectors];
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) {
        const T* from = b + j * V::width;
        row[j] = Masked && j == kLast ? V::load_first(from, lanes) : V::load(from);
      }
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) {
        const V x = V::set1(a[i / 3][i % 3 * a_row]);
#pragma GCC unroll 8
        for (int j = 0; j < Vectors; ++j) sum[i][j] = fma(x, row[j], sum[i][j]);
      }
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) a[g] += a_column;
      b += b_row;
    }
  }
  // Calls f(sum, row, column, its lanes).
  const auto each = [&](auto f) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) {
        if constexpr (Masked) {
          if (j == kLast) {
            f(sum[i][j], i, column + j * V::width, Partial{s.columns - column - kLast * V::width});
            continue;
          }
        }
        f(sum[i][j], i, column + j * V::width, Full{});
      }
    }
  };
  if (s.base != nullptr) {
    each([&](V& x, int i, int64_t j, auto part) { x = x + load(s.base + i * s.ldbase + j, part); });
  }
  if (s.bias != nullptr) {
    each([&](V& x, int, int64_t j, auto part) { x = x + load(s.bias + j, part); });
  }
  if (s.relu) {
    // The second operand is kept when it is NaN.
    each([](V& x, int, int64_t, auto) { x = max(V::set1(0), x); });
  }
  each([&](const V& x, int i, int64_t j, auto part) { store(x, s.c + i * s.ldc + j, part); });
}

template <class T> using WindowTile = void (*)(const WindowStrip<T>&, int64_t column);

// The tiles of 1, 2, ... rows.
template <class T, int Vectors, bool Masked, int... Less>
constexpr std::array<WindowTile<T>, sizeof...(Less)> window_tiles(std::integer_sequence<int, Less...>) {
  return {window_tile<T, Less + 1, Vectors, Masked>...};
}

template <class T> void window_strip(const WindowStrip<T>& s) {
  constexpr auto kHeights = std::make_integer_sequence<int, kTileRows>();
  static constexpr auto kFull = window_tiles<T, kTileVectors, false>(kHeights);
  static constexpr auto kEdge = window_tiles<T, kTileVectors, true>(kHeights);
  static constexpr auto kNarrow = window_tiles<T, 1, true>(kHeights);
  constexpr int64_t kWidth = Vec<T>::width, kPanel = kTileVectors * kWidth;
  for (int64_t j = 0; j < s.columns; j += kPanel) {
    const int64_t left = s.columns - j;
    (left >= kPanel ? kFull : left > kWidth ? kEdge : kNarrow)[s.rows - 1](s, j);
  }
}
