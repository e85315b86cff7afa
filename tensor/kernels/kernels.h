// The table of compute kernels. One translation unit per ISA fills a table from the same .inl files. kernels() is the
// table that cpuid or QING_ISA=scalar|avx2|avx512|avx512vnni|avx512bf16|amx|neon selects once. Kernels take raw
// pointers to contiguous rows, check nothing and run on the calling thread. A row's bits do not depend on its position.
// The drivers in tensor/ops check shapes and use threads.
#pragma once

#include <array>
#include <cstdint>

#include <qing/tensor/kernels/attention_tiles.h>
#include <qing/tensor/kernels/optimizer_steps.h>
#include <qing/tensor/kernels/pointwise.h>

namespace qing::kernels {

enum class Isa { scalar, avx2, avx512, avx512vnni, avx512bf16, amx, neon };

/// A strip of a product: C[rows × columns] = A·B, + C when accumulate, + bias on every row when not null, in this
/// order.
template <class T> struct GemmStrip {
  int64_t rows, columns, k;  ///< 1 ≤ rows ≤ mr
  const T* a;                ///< element (i, p) is a[i·a_row + p·a_column]
  int64_t a_row, a_column;
  const T* b;  ///< element (p, j) is b[j / nr · b_panel + p·b_row + j % nr]
  int64_t b_row, b_panel;
  T* c;
  int64_t ldc;
  const T* bias;
  bool accumulate;
  /// `ahead`: the offset from the next panel's start, in elements, where prefetching begins. `ahead_step`: elements
  /// prefetched for each step of k.
  int64_t ahead = 0, ahead_step = 0;
};

/// A strip of a convolution: C[i, j] = Σ over runs r and p < k of A_r(i, p)·B_r(p, j), + base[i, j] when not null, +
/// bias on every row when not null, in this order; then max(·, 0) with relu. A run of a convolution is a row of the
/// window.
template <class T> struct WindowStrip {
  int64_t rows, columns, runs, k;  ///< 1 ≤ rows ≤ mr
  const T* a;                      ///< element (i, p) of run r is a[i·a_row + p·a_column + r·a_run]
  int64_t a_row, a_column, a_run;
  const T* b;  ///< element (p, j) of run r is b[j / nr · b_panel + p·b_row + r·b_run + j % nr]
  int64_t b_row, b_run, b_panel;
  T* c;
  int64_t ldc;
  const T* base;  ///< with rows ldbase apart, or null; it may be c
  int64_t ldbase;
  const T* bias;
  bool relu;
};

/// The pixels of one channel: run r begins at element r·step.
struct ChannelRuns {
  int64_t runs, length, step;
};

/// The gradients of batch norm in one channel, with g = dy where y > 0 or y is null, else 0:
/// dx = factor·(g − mean_g − ((x − mean)·rstd + shift)·mean_along), dresidual = g. Each is added to what is there if so
/// said. dx and dresidual may be null.
template <class T> struct ChannelGradient {
  const T *x, *dy, *y;
  T mean, rstd, shift, factor, mean_g, mean_along;
  T *dx, *dresidual;
  bool add_dx, add_dresidual;
};

/// The statistics of a row in layer norm: x̂ = (x − mean)·rstd + shift with rstd = 1/sqrt(var + eps), var biased. The
/// shift corrects for the rounding of the mean to T.
template <class T> struct RowStatistics { T mean, rstd, shift; };

template <class T> struct Table {
  // --- GEMM; gemm.inl states the contract, and only the drivers in tensor/ops call these ---
  int64_t mr, nr;  ///< the maximum rows of a strip, the columns of a panel of B
  void (*gemm_strip)(const GemmStrip<T>& strip);
  /// The same for windows of images; windows.inl. Each element is one chain over runs and k.
  void (*window_strip)(const WindowStrip<T>& strip);
  int64_t transposed_b_rows,
      width;  ///< the maximum rows of a strip of a transposed B; its columns are a multiple of `width`
  /// The same bits for a transposed B that is read in place: element (p, j) is b[j·b_panel + p].
  void (*gemm_transposed_b_strip)(const GemmStrip<T>& strip);
  /// out[p·unit + i] = in[p·stride + i] for p < k, i < lines, and 0 for lines ≤ i < unit. `unit` is a multiple of a
  /// vector's width.
  void (*pack_rows)(int64_t k, int64_t lines, const T* in, int64_t stride, int64_t unit, T* out);
  /// The same of a transposed matrix: out[p·unit + i] = in[i·stride + p].
  void (*pack_columns)(int64_t k, int64_t lines, const T* in, int64_t stride, int64_t unit, T* out);

  // --- elementwise over n; y may be x ---
  std::array<UnaryLoops<T>, static_cast<size_t>(Unary::count)> unary;
  std::array<BinaryLoop<T>, static_cast<size_t>(Binary::count)> binary;
  void (*axpy)(int64_t n, T alpha, const T* x, T* y);    ///< y += alpha·x
  void (*add)(int64_t n, const T* a, const T* b, T* y);  ///< y = a + b
  void (*scale)(int64_t n, T alpha, T* y);               ///< y *= alpha

  // --- rows ---
  T (*dot)(int64_t n, const T* a, const T* b);
  T (*sum)(int64_t n, const T* x);
  T (*sum_squares)(int64_t n, const T* x);
  /// out[j] += Σ x[r·ldx + j] over the rows, in double; x is rows × columns.
  void (*add_columns)(int64_t rows, int64_t columns, const T* x, int64_t ldx, double* out);
  /// y = softmax(scale·x); returns log-sum-exp of scale·x. n ≥ 1. With ε the type's epsilon, y is within a relative
  /// 6·ε·(1 + (max − x)/2), the log-sum-exp within 6·ε·(1 + its terms), up to n = 5000 (60 on the scalar ISA).
  T (*softmax)(int64_t n, T scale, const T* x, T* y);
  /// y = x̂·gamma + beta; writes the statistics. Within 6·ε of the row's largest |x−mean|·rstd·gamma + |beta| (60 on the
  /// scalar ISA). Equal elements give beta. Squares of f32 do not overflow. y may be x.
  void (*layer_norm)(int64_t n, const T* x, const T* gamma, const T* beta, T eps, T* y, RowStatistics<T>* statistics);
  /// dx += the gradient; dgamma += dy·x̂; dbeta += dy. Any of dx, dgamma, dbeta may be null.
  void (*layer_norm_backward)(int64_t n, const T* x, const T* gamma, const T* dy, const RowStatistics<T>* statistics,
                              T* dx, T* dgamma, T* dbeta);
  /// y = x·rstd·gamma; writes rstd = 1/sqrt(mean(x²) + eps). Within a relative 6·ε, likewise.
  void (*rms_norm)(int64_t n, const T* x, const T* gamma, T eps, T* y, T* rstd);
  /// dx += the gradient; dgamma += dy·x̂. Either may be null.
  void (*rms_norm_backward)(int64_t n, const T* x, const T* gamma, const T* dy, T rstd, T* dx, T* dgamma);

  // --- channels of images ---
  /// sums[0] = Σ (x − pivot), sums[1] = Σ (x − pivot)², in double.
  void (*channel_moments)(const ChannelRuns& channel, const T* x, T pivot, double* sums);
  /// y = (x − mean)·factor + shift, + residual when not null, then max(·, 0) with relu.
  void (*channel_affine)(const ChannelRuns& channel, const T* x, T mean, T factor, T shift, const T* residual,
                         bool relu, T* y);
  /// sums[0] = Σ g, sums[1] = Σ g·(x − mean), in double, with g as in ChannelGradient.
  void (*channel_gradient_sums)(const ChannelRuns& channel, const T* x, const T* dy, const T* y, T mean, double* sums);
  void (*channel_gradient)(const ChannelRuns& channel, const ChannelGradient<T>& gradient);

  // --- attention of one head; scratch is attention_scratch(depth, value_depth) elements ---
  /// out [queries, value_depth] is overwritten, and `sums`.
  void (*attention_forward)(const AttentionHead<T>& head, const SoftmaxSums<T>& sums, MatrixRows<T> out, T* scratch);
  /// Uses the sums and the result of the forward.
  void (*attention_backward)(const AttentionHead<T>& head, const SoftmaxSums<T>& sums,
                             const AttentionGradients<T>& gradients, T* scratch);

  // --- random ---
  /// keep[i] = 1 where 32 bits of Philox4x32-10 at element first + i of (seed, stream) are at least `threshold`, else
  /// 0. `first` is a multiple of 4.
  void (*keep_mask)(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, uint32_t threshold, uint8_t* keep);

  /// y = x·factor where keep is not 0, else 0. `base` is added unless it is null. y may be x or base.
  void (*drop)(int64_t n, const uint8_t* keep, T factor, const T* x, const T* base, T* y);

  // --- one step of each optimizer; see sweep() ---
  typename OptimizerSteps<T>::Sweeps sweeps;

  // --- bf16 storage of states ---
  void (*widen_bf16)(int64_t n, const uint16_t* x, T* y);
  /// Rounds stochastically to one of the two neighbours in bf16, so that the expectation is x. It uses 16 bits of
  /// element first + i of Philox4x32-10's (seed, stream). `first` is a multiple of 4. Infinities and NaN stay.
  void (*round_bf16)(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, const T* x, uint16_t* y);

  // --- copies ---
  /// out[c·out_step + r] = in[r·in_step + c]. The two do not overlap. All bit patterns are copied unchanged.
  void (*transpose)(int64_t rows, int64_t columns, const T* in, int64_t in_step, T* out, int64_t out_step);
};

Isa active_isa();  ///< Chosen at first use; ValueError if QING_ISA names one this CPU lacks.
bool supported(Isa isa);
const char* name_of(Isa isa);
template <class T> const Table<T>& table(Isa isa);  ///< T is float or double; for tests and benchmarks
template <class T> const Table<T>& kernels();       ///< table<T>(active_isa())

/// One step of an optimizer over n elements by a table; see optimizer_steps.h.
template <class T, class Step>
void sweep(const Table<T>& table, int64_t n, T* w, const T* g, T* const* states, const Step& step) {
  static_cast<const SweepOf<Step>&>(table.sweeps).run(n, w, g, states, step);
}

/// y = f(x) over n elements by a table, or by the chosen one, for a function without parameters. y may be x.
template <class T> void apply(const Table<T>& table, Unary f, int64_t n, const T* x, T* y) {
  const T none[kUnaryParameters] = {};
  table.unary[static_cast<size_t>(f)].forward(n, x, y, none);
}
template <class T> void apply(Unary f, int64_t n, const T* x, T* y) { apply(kernels<T>(), f, n, x, y); }

}  // namespace qing::kernels
