// Attention of one head without storing the matrix of weights (Milakov & Gimelshein 2018, Dao et al. 2022). Included by
// kernels.inl.
//
// Scores are computed one tile of keys and queries at a time. The sums of softmax and the result are rescaled when a
// later tile of keys has a larger score. Backward recomputes the tiles. Keys, and values for backward, are packed
// transposed, so that every product is rows of scalars times rows of vectors. Each element is one chain of fused
// multiply-adds. A query's result depends only on its own row and on the keys that it sees.

/// A matrix whose element (i, p) is at i·row + p·step.
template <class T> struct Scalars {
  const T* data;
  int64_t row, step;
};

/// c[rows, columns] = a·b, or += if added, for a [rows, depth] and b [depth, columns], in strips of nearly equal
/// height.
template <class T>
void product(int64_t rows, int64_t columns, int64_t depth, Scalars<T> a, MatrixRows<const T> b, MatrixRows<T> c,
             bool add) {
  const int64_t strips = (rows + kTileRows - 1) / kTileRows, height = strips > 0 ? (rows + strips - 1) / strips : 0;
  for (int64_t i = 0; i < rows; i += height) {
    gemm_strip<T>({.rows = rows - i < height ? rows - i : height,
                   .columns = columns,
                   .k = depth,
                   .a = a.data + i * a.row,
                   .a_row = a.row,
                   .a_column = a.step,
                   .b = b.data,
                   .b_row = b.step,
                   .b_panel = kTileVectors * Vec<T>::width,
                   .c = c.data + i * c.step,
                   .ldc = c.step,
                   .bias = nullptr,
                   .accumulate = add});
  }
}

/// Copies rows into contiguous memory. In their own memory, rows of all heads are often a power of two apart and would
/// share a few sets of the cache.
template <class T> void gather_rows(int64_t rows, int64_t length, MatrixRows<const T> in, T* out) {
  for (int64_t i = 0; i < rows; ++i, in.data += in.step, out += length) {
    for_lanes<T>(length, [&](int64_t j, auto part) { store(load(in.data + j, part), out + j, part); });
  }
}

/// A tile of the scores. The distance of rows is `unit` elements, a multiple of the vector width.
struct ScoreTile {
  int64_t key, keys, query, queries, unit;
};

/// keep[i] = factor or 0 for the tile's weights, row by row.
template <class T> void keep_factors(const AttentionHead<T>& a, const ScoreTile& tile, T* keep) {
  constexpr int64_t numbers = int64_t{8} * kBlock;  // random numbers of one call
  const int64_t query_tiles = (a.queries + kQueryTile - 1) / kQueryTile;
  const auto index = static_cast<uint64_t>(tile.key / kKeyTile * query_tiles + tile.query / kQueryTile);
  uint64_t counter = (a.dropout.first_tile + index) * (kKeyTile * kQueryTile / 8);
  Lanes lanes;
  for (int64_t i = 0; i < tile.queries * tile.keys; i += numbers, counter += kBlock) {
    philox_block(a.dropout.seed, a.dropout.stream, counter, lanes);
    uint16_t bits[numbers];
    static_assert(sizeof bits == sizeof lanes);
    __builtin_memcpy(bits, &lanes, sizeof bits);
    for (int64_t j = 0; j < numbers; ++j) keep[i + j] = bits[j] >= a.dropout.threshold ? a.factor : T(0);
  }
}

template <class T> using RowNumbers = T[kQueryTile];  // one for each query of a tile

// Replaces rows s of a tile by e^(scale·s − largest), and writes their sums to `total`. Uses one vector of memory per
// row. This is a separate function, so that the exponential's constants stay in registers for all rows.
template <class T>
[[gnu::noinline]] void softmax_numerators(const ScoreTile& t, const T* scale, const T* largest, T* s, T* memory,
                                          T* total) {
  using V = Vec<T>;
  for (int64_t i = 0; i < t.queries; ++i, s += t.unit) {
    const T top = largest[i] == -T(__builtin_inf()) ? T(0) : largest[i];  // all hidden: zeros
    const V factor = V::set1(scale[i]), shift = V::set1(0) - V::set1(top);
    V sum = V::set1(0);
    for (int64_t j = 0; j < t.unit; j += V::width) {
      const V p = exp_of_negative(fma(V::load(s + j), factor, shift));
      p.store(s + j);
      sum = sum + p;
    }
    sum.store(memory + i * V::width);
  }
  for (int64_t i = 0; i < t.queries; ++i) total[i] = V::load(memory + i * V::width).sum();
}

// The same from the sums of the forward, with dropout's factors if there are any. It replaces d, the gradients of the
// weights, by those of the scores, times `step`. The gradient of softmax is ds = p ∘ (dp − Σ dp∘p). The sum is dy·y,
// given as `inner`.
template <class T, bool Dropped>
[[gnu::noinline]] void softmax_backward(const ScoreTile& t, const T* scale, const T* largest, const T* inverse,
                                        const T* inner, T step, const T* kept, T* s, T* d) {
  using V = Vec<T>;
  const V size = V::set1(step);
  for (int64_t i = 0; i < t.queries; ++i, s += t.unit, d += t.unit, kept += t.keys) {
    const V factor = V::set1(scale[i]), shift = V::set1(-largest[i]);
    const V weight = V::set1(inverse[i]), mean = V::set1(inner[i]);
    for (int64_t j = 0; j < t.unit; j += V::width) {
      const V p = exp_of_negative(fma(V::load(s + j), factor, shift)) * weight, slope = V::load(d + j);
      if constexpr (Dropped) {
        const V keep = V::load(kept + j);
        (p * keep).store(s + j);
        (p * (slope * keep - mean) * size).store(d + j);
      } else {
        p.store(s + j);
        (p * (slope - mean) * size).store(d + j);
      }
    }
  }
}

template <class T> struct HeadKernel {
  using V = Vec<T>;
  static constexpr T kHidden = -T(__builtin_inf());

  const AttentionHead<T>& a;
  // The scratch memory has one tile of each of these: transposed keys, transposed values, untransposed keys or values,
  // queries, dy, scores, gradients of scores, and dropout factors.
  T *keys, *values, *rows, *queries, *upstream, *scores, *slopes, *kept;

  HeadKernel(const AttentionHead<T>& head, T* scratch)
      : a(head),
        keys(scratch),
        values(keys + kKeyTile * head.depth),
        rows(values + kKeyTile * head.value_depth),
        queries(rows + kKeyTile * (head.depth > head.value_depth ? head.depth : head.value_depth)),
        upstream(queries + kQueryTile * head.depth),
        scores(upstream + kQueryTile * head.value_depth),
        slopes(scores + kKeyTile * kQueryTile),
        kept(slopes + kKeyTile * kQueryTile) {}

  /// Calls on_keys(tile) for each tile of keys and, within it, on_queries(tile) for each tile of queries that see some
  /// of the keys. The first tile of keys is always visited, even if it is empty.
  template <class OnKeys, class OnQueries> void for_tiles(OnKeys on_keys, OnQueries on_queries) const {
    int64_t key = 0;
    do {
      const int64_t count = a.keys - key < kKeyTile ? a.keys - key : kKeyTile;
      ScoreTile tile = {key, count, 0, 0, (count + V::width - 1) / V::width * V::width};
      on_keys(tile);
      for (; tile.query < a.queries; tile.query += kQueryTile) {
        tile.queries = a.queries - tile.query < kQueryTile ? a.queries - tile.query : kQueryTile;
        if (key == 0 || visible(tile.query + tile.queries - 1) > key) on_queries(tile);
      }
      key += kKeyTile;
    } while (key < a.keys);
  }

  static const T* row(MatrixRows<const T> m, int64_t i) { return m.data + i * m.step; }
  static T* row(MatrixRows<T> m, int64_t i) { return m.data + i * m.step; }
  static MatrixRows<const T> from(MatrixRows<const T> m, int64_t i) { return {row(m, i), m.step}; }
  static MatrixRows<T> from(MatrixRows<T> m, int64_t i) { return {row(m, i), m.step}; }

  // The number of keys that query i sees.
  int64_t visible(int64_t i) const {
    const int64_t n = a.first_query + i + 1;
    return !a.causal || n > a.keys ? a.keys : n < 0 ? 0 : n;
  }
  int64_t visible_in(const ScoreTile& t, int64_t i) const {
    const int64_t n = visible(t.query + i) - t.key;
    return n > t.keys ? t.keys : n < 0 ? 0 : n;
  }

  void pack_keys(const ScoreTile& t) const {
    pack_columns_kernel(a.depth, t.keys, row(a.k, t.key), a.k.step, t.unit, keys);
  }
  void score(const ScoreTile& t, MatrixRows<const T> q) const {
    product<T>(t.queries, t.unit, a.depth, {q.data, q.step, 1}, {keys, t.unit}, {scores, t.unit}, false);
  }

  // Applies the mask to the first n scores of row i of the tile. Returns the factor by which they must still be
  // multiplied.
  T masked(const ScoreTile& t, int64_t i, int64_t n, T* s) const {
    if (a.mask.added == nullptr && a.mask.allowed == nullptr && a.scale > 0) return a.scale;
    const int64_t at = (t.query + i) * a.mask.row + t.key * a.mask.column;
    for (int64_t j = 0; j < n; ++j) {
      s[j] *= a.scale;
      if (a.mask.added != nullptr) s[j] += a.mask.added[at + j * a.mask.column];
      if (a.mask.allowed != nullptr && !a.mask.allowed[at + j * a.mask.column]) s[j] = kHidden;
    }
    return 1;
  }

  // Returns the larger of `largest` and scale times the first n elements of s. Sets the others, up to `unit`, to −∞.
  static T larger(int64_t n, int64_t unit, T scale, T* s, T largest) {
    const V factor = V::set1(scale);
    V high = V::set1(largest);
    int64_t j = 0;
    for (; j + V::width <= n; j += V::width) high = max(high, V::load(s + j) * factor);
    if (j < n) {
      const V last = V::load_partial(s + j, n - j, kHidden);
      last.store(s + j);
      high = max(high, last * factor);
      j += V::width;
    }
    for (; j < unit; j += V::width) V::set1(kHidden).store(s + j);
    return high.max();
  }

  // A maximum may lose a NaN that must reach the result. Returns −∞ if all scores are hidden, NaN if one is NaN.
  static T hidden_or_nan(int64_t n, const T* s) {
    for (int64_t j = 0; j < n; ++j) {
      if (s[j] != s[j]) return s[j];
    }
    return kHidden;
  }

  // Returns the factor that rescales sums from the old largest score to the new one.
  static T rescale(T old, T largest) {
    T factor = 1;
    exp(V::set1(old) - V::set1(largest)).store_partial(&factor, 1);
    return factor;
  }

  void forward(const SoftmaxSums<T>& sums, MatrixRows<T> out) const {
    for (int64_t i = 0; i < a.queries; ++i) {
      sums.largest[i] = kHidden;
      sums.inverse[i] = 0;
    }
    for_tiles(
        [&](const ScoreTile& t) {
          pack_keys(t);
          gather_rows(t.keys, a.value_depth, from(a.v, t.key), rows);
        },
        [&](const ScoreTile& t) {
          score(t, from(a.q, t.query));
          if (a.dropout.threshold > 0) keep_factors(a, t, kept);
          normalise(t, sums, out);
          product<T>(t.queries, a.value_depth, t.keys, {scores, t.unit, 1}, {rows, a.value_depth}, from(out, t.query),
                     t.key > 0);
        });
    for (int64_t i = 0; i < a.queries; ++i) {
      if (sums.inverse[i] != 0) sums.inverse[i] = 1 / sums.inverse[i];
      scale_kernel(a.value_depth, sums.inverse[i], row(out, i));
    }
  }

  // Turns scores into weights that are not yet divided by their sum. Each step is done for all rows, so that the rows
  // hide each other's latency.
  void normalise(const ScoreTile& t, const SoftmaxSums<T>& sums, MatrixRows<T> out) const {
    RowNumbers<T> largest = {}, scale = {}, total;
    for (int64_t i = 0; i < t.queries; ++i) {
      T* const s = scores + i * t.unit;
      const int64_t n = visible_in(t, i);
      scale[i] = masked(t, i, n, s);
      largest[i] = larger(n, t.unit, scale[i], s, sums.largest[t.query + i]);
      if (largest[i] == kHidden) largest[i] = hidden_or_nan(n, s);
    }
    softmax_numerators<T>(t, scale, largest, scores, slopes, total);
    for (int64_t i = 0; i < t.queries; ++i) {
      T &seen = sums.largest[t.query + i], &sum = sums.inverse[t.query + i];
      if (seen != kHidden && seen != largest[i]) {
        const T factor = rescale(seen, largest[i]);
        sum *= factor;
        scale_kernel(a.value_depth, factor, row(out, t.query + i));
      }
      sum += total[i];
      seen = largest[i];
    }
    if (a.dropout.threshold > 0) {
      for (int64_t i = 0; i < t.queries; ++i) multiply(t.keys, kept + i * t.keys, scores + i * t.unit);
    }
  }

  static void multiply(int64_t n, const T* factors, T* y) {
    for_lanes<T>(n, [&](int64_t i, auto part) { store(load(factors + i, part) * load(y + i, part), y + i, part); });
  }

  void backward(const SoftmaxSums<T>& sums, const AttentionGradients<T>& g) const {
    const bool through_scores = g.dq.data != nullptr || g.dk.data != nullptr || g.dmask != nullptr;
    bool first_of_key = true;
    for_tiles(
        [&](const ScoreTile& t) {
          pack_keys(t);
          if (through_scores) pack_columns_kernel(a.value_depth, t.keys, row(a.v, t.key), a.v.step, t.unit, values);
          if (g.dq.data != nullptr) gather_rows(t.keys, a.depth, from(a.k, t.key), rows);
          first_of_key = true;
          if (a.queries > 0 && (t.key == 0 || visible(a.queries - 1) > t.key)) return;
          // No query sees these keys.
          if (g.dk.data != nullptr && !g.add_k) clear(t.keys, a.depth, from(g.dk, t.key));
          if (g.dv.data != nullptr && !g.add_v) clear(t.keys, a.value_depth, from(g.dv, t.key));
        },
        [&](const ScoreTile& t) {
          gather_rows(t.queries, a.depth, from(a.q, t.query), queries);
          score(t, {queries, a.depth});
          gather_rows(t.queries, a.value_depth, from(g.dy, t.query), upstream);
          if (through_scores) {
            product<T>(t.queries, t.unit, a.value_depth, {upstream, a.value_depth, 1}, {values, t.unit},
                       {slopes, t.unit}, false);
          }
          if (a.dropout.threshold > 0) keep_factors(a, t, kept);
          slope_rows(t, sums, g, through_scores);
          if (g.dk.data != nullptr) {
            product<T>(t.keys, a.depth, t.queries, {slopes, 1, t.unit}, {queries, a.depth}, from(g.dk, t.key),
                       g.add_k || !first_of_key);
          }
          if (g.dv.data != nullptr) {
            product<T>(t.keys, a.value_depth, t.queries, {scores, 1, t.unit}, {upstream, a.value_depth},
                       from(g.dv, t.key), g.add_v || !first_of_key);
          }
          if (g.dq.data != nullptr) {
            product<T>(t.queries, a.depth, t.keys, {slopes, t.unit, 1}, {rows, a.depth}, from(g.dq, t.query),
                       g.add_q || t.key > 0);
          }
          first_of_key = false;
        });
  }

  static void clear(int64_t rows, int64_t columns, MatrixRows<T> m) {
    for (int64_t i = 0; i < rows; ++i) {
      for_lanes<T>(columns, [&](int64_t j, auto part) { store(V::set1(0), row(m, i) + j, part); });
    }
  }

  // Turns scores into weights with dropout, and the weights' gradients, in `slopes`, into those of q·kᵀ.
  void slope_rows(const ScoreTile& t, const SoftmaxSums<T>& sums, const AttentionGradients<T>& g,
                  bool through_scores) const {
    RowNumbers<T> scale = {}, inner = {};
    for (int64_t i = 0; i < t.queries; ++i) {
      scale[i] = masked(t, i, visible_in(t, i), scores + i * t.unit);
      if (through_scores) inner[i] = dot_kernel(a.value_depth, upstream + i * a.value_depth, row(g.y, t.query + i));
    }
    const T *const largest = sums.largest + t.query, *const inverse = sums.inverse + t.query;
    const auto turn = a.dropout.threshold > 0 ? softmax_backward<T, true> : softmax_backward<T, false>;
    turn(t, scale, largest, inverse, inner, g.dmask != nullptr ? T(1) : a.scale, kept, scores, slopes);
    for (int64_t i = 0; i < t.queries; ++i) {
      const int64_t n = inverse[i] == 0 ? 0 : visible_in(t, i);
      if (n < t.keys) {
        fill(scores + i * t.unit, n, t.keys);
        fill(slopes + i * t.unit, n, t.keys);
      }
      if (g.dmask == nullptr) continue;
      __builtin_memcpy(g.dmask + (t.query + i) * a.keys + t.key, slopes + i * t.unit, n * sizeof(T));
      scale_kernel(t.keys, a.scale, slopes + i * t.unit);
    }
  }

  static void fill(T* y, int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) y[j] = 0;
  }
};

template <class T>
void attention_forward_kernel(const AttentionHead<T>& head, const SoftmaxSums<T>& sums, MatrixRows<T> out, T* scratch) {
  HeadKernel<T>(head, scratch).forward(sums, out);
}

template <class T>
void attention_backward_kernel(const AttentionHead<T>& head, const SoftmaxSums<T>& sums,
                               const AttentionGradients<T>& gradients, T* scratch) {
  HeadKernel<T>(head, scratch).backward(sums, gradients);
}
