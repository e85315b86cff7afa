// Attention of one head without its matrix of weights (Milakov & Gimelshein 2018, Dao et al. 2022). Included by
// kernels.inl.
//
// Scores are computed a tile of keys and queries at a time; the sums of softmax and the result are rescaled when a later
// tile of keys holds a larger score. Backward computes the tiles again. Keys, and values for backward, are packed
// transposed, so that every product is rows of scalars times rows of vectors: each element is one chain of fused
// multiply-adds. A query's result depends on its own row and on the keys that it sees.

/// A matrix whose element (i, p) lies at i·row + p·step.
template <class T>
struct Scalars {
  const T* data;
  int64_t row, step;
};

// c[rows × vectors] = a·b, or added to what is there.
template <class T, int Rows, int Vectors, class Part>
void product_tile(int64_t depth, Scalars<T> a, const T* b, int64_t b_step, T* c, int64_t c_step, bool add, Part part) {
  using V = Vec<T>;
  V sum[Rows][Vectors];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) {
      sum[i][j] = add ? load(static_cast<const T*>(c + i * c_step + j * V::width), part) : V::set1(0);
    }
  }
  for (int64_t p = 0; p < depth; ++p) {
    V row[Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) row[j] = load(b + j * V::width, part);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const V x = V::set1(a.data[i * a.row]);
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) sum[i][j] = fma(x, row[j], sum[i][j]);
    }
    a.data += a.step;
    b += b_step;
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) store(sum[i][j], c + i * c_step + j * V::width, part);
  }
}

constexpr int kProductRows = 6, kProductVectors = kVectorRegisters >= 32 ? 4 : 2;

template <class T, int Rows, int Vectors>
void product_columns(int64_t columns, int64_t depth, Scalars<T> a, const T* b, int64_t b_step, T* c, int64_t c_step,
                     bool add) {
  constexpr int64_t width = Vec<T>::width;
  for (; columns >= Vectors * width; columns -= Vectors * width, b += Vectors * width, c += Vectors * width) {
    product_tile<T, Rows, Vectors>(depth, a, b, b_step, c, c_step, add, Full{});
  }
  if constexpr (Vectors > 1) {
    product_columns<T, Rows, Vectors - 1>(columns, depth, a, b, b_step, c, c_step, add);
  } else if (columns > 0) {
    product_tile<T, Rows, 1>(depth, a, b, b_step, c, c_step, add, Partial{columns});
  }
}

template <class T, int Rows>
void product_rows(int64_t rows, int64_t columns, int64_t depth, Scalars<T> a, MatrixRows<const T> b, MatrixRows<T> c,
                  bool add) {
  for (; rows >= Rows; rows -= Rows, a.data += Rows * a.row, c.data += Rows * c.step) {
    product_columns<T, Rows, kProductVectors>(columns, depth, a, b.data, b.step, c.data, c.step, add);
  }
  if constexpr (Rows > 1) product_rows<T, Rows - 1>(rows, columns, depth, a, b, c, add);
}

/// c[rows, columns] = a·b, or added, for a [rows, depth] and b [depth, columns].
template <class T>
void product(int64_t rows, int64_t columns, int64_t depth, Scalars<T> a, MatrixRows<const T> b, MatrixRows<T> c,
             bool add) {
  product_rows<T, kProductRows>(rows, columns, depth, a, b, c, add);
}

/// Copies rows to where they lie end to end. Rows of all heads together lie a power of two apart as often as not, and
/// would share a few sets of the cache.
template <class T>
void gather_rows(int64_t rows, int64_t length, MatrixRows<const T> in, T* out) {
  for (int64_t i = 0; i < rows; ++i, in.data += in.step, out += length) {
    for_lanes<T>(length, [&](int64_t j, auto part) { store(load(in.data + j, part), out + j, part); });
  }
}

/// A tile of the scores. Rows lie `unit` elements apart, a multiple of the width.
struct ScoreTile {
  int64_t key, keys, query, queries, unit;
};

/// keep[i] = factor or 0 for the tile's weights, row by row.
template <class T>
void keep_factors(const AttentionHead<T>& a, const ScoreTile& tile, T* keep) {
  constexpr int64_t numbers = 8 * kBlock;  // of one call
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

template <class T>
struct HeadKernel {
  using V = Vec<T>;
  static constexpr T kHidden = -T(__builtin_inf());

  const AttentionHead<T>& a;
  // In the scratch, of a tile each: keys and values transposed; one of both as it is, queries and dy; scores and their
  // gradients; factors of dropout.
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

  /// Calls on_keys(tile) for each tile of keys and, within it, on_queries(tile) for those of queries that see some of
  /// them. The first tile of keys is always gone through, even if it is empty.
  template <class OnKeys, class OnQueries>
  void for_tiles(OnKeys on_keys, OnQueries on_queries) const {
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

  // How many keys query i sees.
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
  void score(const ScoreTile& t) const {
    gather_rows(t.queries, a.depth, from(a.q, t.query), queries);
    product<T>(t.queries, t.unit, a.depth, {queries, a.depth, 1}, {keys, t.unit}, {scores, t.unit}, false);
  }

  // Puts the mask on the first n scores of row i of the tile; the factor that they have still to be multiplied by.
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

  // The larger of `largest` and scale times the first n elements of s.
  static T larger(int64_t n, T scale, const T* s, T largest) {
    const V factor = V::set1(scale);
    V high = V::set1(largest);
    for_lanes<T>(n, [&](int64_t i, auto part) { high = max(high, load(s + i, part, kHidden) * factor); });
    return high.max();
  }

  // A maximum may lose NaN, which must reach the result: −∞ for scores that are all hidden, NaN if one of them is NaN.
  static T hidden_or_nan(int64_t n, const T* s) {
    for (int64_t j = 0; j < n; ++j) {
      if (s[j] != s[j]) return s[j];
    }
    return kHidden;
  }

  // Overwrites row s, up to `unit`, with e^(scale·s − largest) of its first n elements and with zeros; their sum.
  static T soften(int64_t n, int64_t unit, T scale, T* s, T largest) {
    const V factor = V::set1(scale), shift = V::set1(0) - V::set1(largest);
    V sum = V::set1(0);
    int64_t done = 0;
    if (largest != kHidden) {
      for_lanes<T>(n, [&](int64_t i, auto part) {
        const V p = exp(fma(load(static_cast<const T*>(s + i), part, kHidden), factor, shift));
        p.store(s + i);  // beyond n: zeros
        sum = sum + p;
        done = i + V::width;
      });
    }
    for (; done < unit; done += V::width) V::set1(0).store(s + done);
    return sum.sum();
  }

  // What was summed with the old largest is multiplied by this.
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
    for_tiles([&](const ScoreTile& t) {
                pack_keys(t);
                gather_rows(t.keys, a.value_depth, from(a.v, t.key), rows);
              },
              [&](const ScoreTile& t) {
                score(t);
                if (a.dropout.threshold > 0) keep_factors(a, t, kept);
                normalise(t, sums, out);
                product<T>(t.queries, a.value_depth, t.keys, {scores, t.unit, 1}, {rows, a.value_depth},
                           from(out, t.query), t.key > 0);
              });
    for (int64_t i = 0; i < a.queries; ++i) {
      if (sums.inverse[i] != 0) sums.inverse[i] = 1 / sums.inverse[i];
      scale_kernel(a.value_depth, sums.inverse[i], row(out, i));
    }
  }

  // Scores to weights, of which the sum is still missing. All maxima first: one row's search hides the latency of
  // another's.
  void normalise(const ScoreTile& t, const SoftmaxSums<T>& sums, MatrixRows<T> out) const {
    T largest[kQueryTile], scale[kQueryTile];
    for (int64_t i = 0; i < t.queries; ++i) {
      T* const s = scores + i * t.unit;
      const int64_t n = visible_in(t, i);
      scale[i] = masked(t, i, n, s);
      largest[i] = larger(n, scale[i], s, sums.largest[t.query + i]);
      if (largest[i] == kHidden) largest[i] = hidden_or_nan(n, s);
    }
    for (int64_t i = 0; i < t.queries; ++i) {
      T *const s = scores + i * t.unit, &seen = sums.largest[t.query + i], &total = sums.inverse[t.query + i];
      const T sum = soften(visible_in(t, i), t.unit, scale[i], s, largest[i]);
      if (seen != kHidden && seen != largest[i]) {
        const T factor = rescale(seen, largest[i]);
        total *= factor;
        scale_kernel(a.value_depth, factor, row(out, t.query + i));
      }
      total += sum;
      seen = largest[i];
      if (a.dropout.threshold > 0) multiply(t.keys, kept + i * t.keys, s);
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
          // No query looks at these keys.
          if (g.dk.data != nullptr && !g.add_k) clear(t.keys, a.depth, from(g.dk, t.key));
          if (g.dv.data != nullptr && !g.add_v) clear(t.keys, a.value_depth, from(g.dv, t.key));
        },
        [&](const ScoreTile& t) {
          score(t);
          gather_rows(t.queries, a.value_depth, from(g.dy, t.query), upstream);
          if (through_scores) {
            product<T>(t.queries, t.unit, a.value_depth, {upstream, a.value_depth, 1}, {values, t.unit},
                       {slopes, t.unit}, false);
          }
          if (a.dropout.threshold > 0) keep_factors(a, t, kept);
          for (int64_t i = 0; i < t.queries; ++i) slope_row(t, i, sums, g, through_scores);
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

  // Row i of the tile: scores become weights with dropout; the gradients of these, in `slopes`, those of q·kᵀ. Through
  // softmax: ds = p ∘ (dp − Σ dp∘p), where the sum is dy·y.
  void slope_row(const ScoreTile& t, int64_t i, const SoftmaxSums<T>& sums, const AttentionGradients<T>& g,
                 bool through_scores) const {
    const int64_t q = t.query + i, n = sums.inverse[q] == 0 ? 0 : visible_in(t, i);
    T *const s = scores + i * t.unit, *const d = slopes + i * t.unit;
    const V factor = V::set1(masked(t, i, n, s)), shift = V::set1(0) - V::set1(sums.largest[q]);
    const V inverse = V::set1(sums.inverse[q]), scale = V::set1(a.scale);
    const T* const up = upstream + i * a.value_depth;
    const V inner = V::set1(through_scores ? dot_kernel(a.value_depth, up, row(g.y, q)) : T(0));
    const T* const keep = a.dropout.threshold > 0 ? kept + i * t.keys : nullptr;
    T* const dmask = g.dmask != nullptr ? g.dmask + q * a.keys + t.key : nullptr;
    int64_t done = 0;
    for_lanes<T>(n, [&](int64_t j, auto part) {
      const V p = exp(fma(load(s + j, part, kHidden), factor, shift)) * inverse;
      const V kept_here = keep != nullptr ? load(keep + j, part) : V::set1(1);
      (p * kept_here).store(s + j);
      if (through_scores) {
        const V slope = p * (load(d + j, part) * kept_here - inner);
        if (dmask != nullptr) store(slope, dmask + j, part);
        (slope * scale).store(d + j);
      }
      done = j + V::width;
    });
    for (; done < t.unit; done += V::width) {
      V::set1(0).store(s + done);
      V::set1(0).store(d + done);
    }
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
