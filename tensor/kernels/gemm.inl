// The GEMM microkernel. Included by kernels.inl.
//
// Contract: the driver (tensor/ops/gemm.cpp) gives the addresses and strides of A and B, packed or in place; see
// GemmStrip. Every element of C is one chain of fused multiply-adds over k for every tile and layout, so its bits
// depend only on its row of A and column of B. C is read only to accumulate. Edges are handled here: a smaller tile for
// fewer rows, masked access to B and C for fewer columns. No memory outside the matrices is accessed.

// A tile has as many rows and vectors of C as fit into registers. With few rows it has more vectors.
constexpr int kTileRows = QING_KERNEL_ROWS, kTileVectors = 2;
constexpr int kWideRows = QING_KERNEL_WIDE_ROWS, kWidestRows = (kWideRows + 1) / 3;

template <class T, int Rows, int Vectors, bool Masked> void gemm_tile(const GemmStrip<T>& s, int64_t column) {
  using V = Vec<T>;
  constexpr int kLast = Vectors - 1;
  // Rows 3g to 3g + 2 are addressed from one pointer, which saves registers.
  constexpr int kGroups = (Rows + 2) / 3;
  const auto lanes = V::first(Masked ? s.columns - column - kLast * V::width : V::width);
  V sum[Rows][Vectors];
  const T* a[kGroups];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) sum[i][j] = V::set1(0);
  }
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g) a[g] = s.a + 3 * g * s.a_row;
  const T* b = s.b + column / (kTileVectors * V::width) * s.b_panel;
  const int64_t a_row = s.a_row, a_column = s.a_column, b_row = s.b_row, b_panel = s.b_panel;
  const T* ahead = b + b_panel + s.ahead;
  for (int64_t p = 0; p < s.k; ++p, ahead += s.ahead_step) {
    if constexpr (Vectors == kTileVectors && !Masked) __builtin_prefetch(ahead, 0, 2);
    V row[Vectors];
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) {
      const T* from = b + j / kTileVectors * b_panel + j % kTileVectors * V::width;
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
  // Calls f(sum, its address in C, its column, its lanes).
  const auto each = [&](auto f) {
    T* to = s.c + column;
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i, to += s.ldc) {
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) {
        if constexpr (Masked) {
          if (j == kLast) {
            f(sum[i][j], to + j * V::width, j * V::width, Partial{s.columns - column - kLast * V::width});
            continue;
          }
        }
        f(sum[i][j], to + j * V::width, j * V::width, Full{});
      }
    }
  };
  if (s.accumulate) {
    each([](V& x, const T* to, int64_t, auto part) { x = x + load(to, part); });
  }
  if (s.bias != nullptr) {
    const T* bias = s.bias + column;
    each([&](V& x, const T*, int64_t j, auto part) { x = x + load(bias + j, part); });
  }
  each([](const V& x, T* to, int64_t, auto part) { store(x, to, part); });
}

// Prefetches a tile of C, which is written only after its sums are complete.
template <class T> void prefetch_tile(const GemmStrip<T>& s, int64_t column) {
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t left = s.columns - column, most = kTileVectors * Vec<T>::width, columns = left < most ? left : most;
  const T* c = s.c + column;
  for (int64_t i = 0; i < s.rows; ++i, c += s.ldc) {
    for (int64_t j = 0; j < columns; j += kLine) __builtin_prefetch(c + j, 1);
  }
}

template <class T> using GemmTile = void (*)(const GemmStrip<T>&, int64_t column);

// The tiles of 1, 2, ... rows.
template <class T, int Vectors, bool Masked, int... Less>
constexpr std::array<GemmTile<T>, sizeof...(Less)> gemm_tiles(std::integer_sequence<int, Less...>) {
  return {gemm_tile<T, Less + 1, Vectors, Masked>...};
}

template <class T> void gemm_strip(const GemmStrip<T>& s) {
  constexpr int64_t kWidth = Vec<T>::width;
  constexpr auto kHeights = std::make_integer_sequence<int, kTileRows>();
  static constexpr auto kWidest =
      gemm_tiles<T, 4 * kTileVectors, false>(std::make_integer_sequence<int, kWidestRows>());
  static constexpr auto kWide = gemm_tiles<T, 2 * kTileVectors, false>(std::make_integer_sequence<int, kWideRows>());
  static constexpr auto kFull = gemm_tiles<T, kTileVectors, false>(kHeights);
  static constexpr auto kEdge = gemm_tiles<T, kTileVectors, true>(kHeights);
  static constexpr auto kNarrow = gemm_tiles<T, 1, true>(kHeights);
  constexpr int64_t kPanel = kTileVectors * kWidth;
  const bool deep = s.k >= 128;
  int64_t j = 0;
  // Memory delivers long rows of B fastest.
  if (s.rows <= kWidestRows) {
    for (; j + 4 * kPanel <= s.columns; j += 4 * kPanel) kWidest[s.rows - 1](s, j);
  }
  if (s.rows <= kWideRows) {
    for (; j + 2 * kPanel <= s.columns; j += 2 * kPanel) kWide[s.rows - 1](s, j);
  }
  for (; j < s.columns; j += kPanel) {
    if (deep) prefetch_tile(s, j);
    const int64_t left = s.columns - j;
    (left >= kPanel ? kFull : left > kWidth ? kEdge : kNarrow)[s.rows - 1](s, j);
  }
}

// out[q] lane l = b[l·step + q]: columns of B that are contiguous along its depth. Packing them does not pay when few
// rows of A meet them.
template <class T, int Depth> inline void load_transposed_b(const T* b, int64_t step, Vec<T>* out) {
  using V = Vec<T>;
  if constexpr (Depth == V::kTransposed) {
    V::transpose(b, step, out);
  } else {
    T lanes[V::width];
#pragma GCC unroll 16
    for (int64_t l = 0; l < V::width; ++l) lanes[l] = b[l * step];
    *out = V::load(lanes);
  }
}

// Adds `Depth` further terms to the sums of Rows × Vectors.
template <class T, int Rows, int Vectors, int Depth>
inline void add_transposed_b(const T* a, int64_t a_row, int64_t a_column, const T* b, int64_t b_column,
                             Vec<T> (&sum)[Rows][Vectors]) {
  using V = Vec<T>;
#pragma GCC unroll 4
  for (int j = 0; j < Vectors; ++j) {
    V column[Depth];
    load_transposed_b<T, Depth>(b + j * V::width * b_column, b_column, column);
#pragma GCC unroll 4
    for (int q = 0; q < Depth; ++q) {
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) sum[i][j] = fma(V::set1(a[i * a_row + q * a_column]), column[q], sum[i][j]);
    }
  }
}

template <class T, int Rows, int Vectors> void gemm_transposed_b_tile(const GemmStrip<T>& s, int64_t column) {
  using V = Vec<T>;
  V sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) sum[i][j] = V::set1(0);
  }
  const T *a = s.a, *b = s.b + column * s.b_panel;
  int64_t p = 0;
  for (; p + V::kTransposed <= s.k; p += V::kTransposed, a += V::kTransposed * s.a_column, b += V::kTransposed) {
    add_transposed_b<T, Rows, Vectors, V::kTransposed>(a, s.a_row, s.a_column, b, s.b_panel, sum);
  }
  for (; p < s.k; ++p, a += s.a_column, ++b)
    add_transposed_b<T, Rows, Vectors, 1>(a, s.a_row, s.a_column, b, s.b_panel, sum);
  T* to = s.c + column;
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i, to += s.ldc) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) {
      if (s.accumulate) sum[i][j] = sum[i][j] + V::load(to + j * V::width);
      if (s.bias != nullptr) sum[i][j] = sum[i][j] + V::load(s.bias + column + j * V::width);
      sum[i][j].store(to + j * V::width);
    }
  }
}

template <class T, int Vectors, int... Less>
constexpr std::array<GemmTile<T>, sizeof...(Less)> gemm_transposed_b_tiles(std::integer_sequence<int, Less...>) {
  return {gemm_transposed_b_tile<T, Less + 1, Vectors>...};
}

// B is transposed again for each strip: with more rows packing is faster.
constexpr int kTransposedBRows = Vec<float>::width >= 16 ? 5 : 4;

/// A strip of a product with a transposed B, whose element (p, j) is b[j·b_panel + p]; rows ≤ kTransposedBRows, columns
/// a multiple of a vector's width. The bits are those of gemm_strip.
template <class T> void gemm_transposed_b_strip(const GemmStrip<T>& s) {
  constexpr auto kHeights = std::make_integer_sequence<int, kTransposedBRows>();
  static constexpr auto kOne = gemm_transposed_b_tiles<T, 1>(kHeights), kTwo = gemm_transposed_b_tiles<T, 2>(kHeights);
  constexpr int64_t kWidth = Vec<T>::width;
  int64_t j = 0;
  for (; j + 2 * kWidth <= s.columns; j += 2 * kWidth) kTwo[s.rows - 1](s, j);
  for (; j < s.columns; j += kWidth) kOne[s.rows - 1](s, j);
}

template <class T> void pack_rows_kernel(int64_t k, int64_t lines, const T* in, int64_t stride, int64_t unit, T* out) {
  for (int64_t p = 0; p < k; ++p, in += stride, out += unit) {
    for_lanes<T>(unit, [&](int64_t i, auto part) {
      const int64_t left = lines - i;
      store(left >= Vec<T>::width ? load(in + i, Full{}) : load(in + i, Partial{left > 0 ? left : 0}), out + i, part);
    });
  }
}

// out[p·unit + i] = in[i·stride + p] for i of one vector, of which only the first `lines` exist.
template <class T> void pack_last_columns(int64_t k, int64_t lines, const T* in, int64_t stride, int64_t unit, T* out) {
  using V = Vec<T>;
  V block[V::width];
  for (int64_t p = 0; p < k; p += V::width, in += V::width) {
    const int64_t wide = k - p < V::width ? k - p : V::width;
    for (int64_t l = 0; l < V::width; ++l) {
      block[l] = l < lines ? V::load_partial(in + l * stride, wide, 0) : V::set1(0);
    }
    transpose(block);
    for (int64_t q = 0; q < wide; ++q) block[q].store(out + (p + q) * unit);
  }
}

template <class T>
void pack_columns_kernel(int64_t k, int64_t lines, const T* in, int64_t stride, int64_t unit, T* out) {
  using V = Vec<T>;
  for (int64_t i = 0; i < unit; i += V::width, in += V::width * stride, out += V::width) {
    const int64_t left = lines - i;
    int64_t p = 0;
    if (left >= V::width) {
      for (; p + V::kTransposed <= k; p += V::kTransposed) {
        V columns[V::kTransposed];
        V::transpose(in + p, stride, columns);
#pragma GCC unroll 8
        for (int64_t q = 0; q < V::kTransposed; ++q) columns[q].store(out + (p + q) * unit);
      }
    }
    if (p < k) pack_last_columns(k - p, left < 0 ? 0 : left, in + p, stride, unit, out + p * unit);
  }
}
