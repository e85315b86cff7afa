// The GEMM microkernel. Included by kernels.inl.
//
// Contract: the driver (tensor/ops/gemm.cpp) packs. The A panel holds k columns of kRows elements, the B panel k rows of
// kVectors vectors, both padded with zeros. Every element of C is one chain of fused multiply-adds over k, whatever the
// tile's size, so its bits depend on its row of A and column of B alone. C is read only to accumulate. Edges are handled
// here: fewer rows by a smaller kernel, fewer columns by masked access to C.

template <class T, int Rows, int Vectors, int PanelRows>
void gemm_tile(int64_t k, const T* a, const T* b, T* c, int64_t ldc, int64_t columns, const T* bias, bool accumulate) {
  using V = Vec<T>;
  V sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) sum[i][j] = V::set1(0);
  }
  for (int64_t p = 0; p < k; ++p) {
    V row[Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) row[j] = V::load(b + j * V::width);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const V x = V::set1(a[i]);
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) sum[i][j] = fma(x, row[j], sum[i][j]);
    }
    a += PanelRows;
    b += Vectors * V::width;
  }
  const auto write = [&](int i, int j, auto part) {
    T* to = c + i * ldc + j * V::width;
    V value = sum[i][j];
    if (bias != nullptr) value = value + load(bias + j * V::width, part);
    if (accumulate) value = value + load(static_cast<const T*>(to), part);
    store(value, to, part);
  };
  if (columns == Vectors * V::width) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) write(i, j, Full{});
    }
    return;
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) {
      const int64_t left = columns - j * V::width;
      if (left > 0) write(i, j, Partial{left < V::width ? left : V::width});
    }
  }
}

template <class T, int Rows, int Vectors, int PanelRows>
void gemm_rows(int64_t k, const T* a, const T* b, T* c, int64_t ldc, int64_t rows, int64_t columns, const T* bias,
               bool accumulate) {
  if constexpr (Rows > 1) {
    if (rows < Rows) {
      return gemm_rows<T, Rows - 1, Vectors, PanelRows>(k, a, b, c, ldc, rows, columns, bias, accumulate);
    }
  }
  gemm_tile<T, Rows, Vectors, PanelRows>(k, a, b, c, ldc, columns, bias, accumulate);
}

template <class T>
void pack_kernel(int64_t k, int64_t lines, const T* in, int64_t stride, int64_t unit, T* out) {
  for (int64_t p = 0; p < k; ++p, in += stride, out += unit) {
    for_lanes<T>(unit, [&](int64_t i, auto part) {
      const int64_t left = lines - i;
      store(left >= Vec<T>::width ? load(in + i, Full{}) : load(in + i, Partial{left > 0 ? left : 0}), out + i, part);
    });
  }
}
