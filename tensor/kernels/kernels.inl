// All kernels of one ISA, on the Vec<T> of the including file. QING_KERNEL_ROWS and QING_KERNEL_WIDE_ROWS are the rows
// of the register blocks: rows × 2 and rows × 4 sums, plus one register for each vector of B, a broadcast and a mask.
#include <array>
#include <utility>

#include <qing/tensor/kernels/kernels.h>

namespace qing::kernels {
namespace {

// Each part uses those above it.
// clang-format off
#include "elementwise.inl"
#include "functions.inl"
#include "pointwise.inl"
#include "rows.inl"
#include "channels.inl"
#include "gemm.inl"
#include "windows.inl"
#include "philox.inl"
#include "attention_tiles.inl"
#include "optimizers.inl"
// clang-format on

template <class T> constexpr Table<T> make_table() {
  return {.mr = kTileRows,
          .nr = kTileVectors * Vec<T>::width,
          .gemm_strip = gemm_strip<T>,
          .window_strip = window_strip<T>,
          .transposed_b_rows = kTransposedBRows,
          .width = Vec<T>::width,
          .gemm_transposed_b_strip = gemm_transposed_b_strip<T>,
          .pack_rows = pack_rows_kernel<T>,
          .pack_columns = pack_columns_kernel<T>,
          .unary = make_unary<T>(std::make_index_sequence<static_cast<size_t>(Unary::count)>()),
          .binary = make_binary<T>(std::make_index_sequence<static_cast<size_t>(Binary::count)>()),
          .axpy = axpy_kernel<T>,
          .add = add_kernel<T>,
          .scale = scale_kernel<T>,
          .dot = dot_kernel<T>,
          .sum = sum_kernel<T>,
          .sum_squares = sum_squares_kernel<T>,
          .add_columns = add_columns_kernel<T>,
          .softmax = softmax_kernel<T>,
          .layer_norm = layer_norm_kernel<T>,
          .layer_norm_backward = layer_norm_backward_kernel<T>,
          .rms_norm = rms_norm_kernel<T>,
          .rms_norm_backward = rms_norm_backward_kernel<T>,
          .channel_moments = channel_moments_kernel<T>,
          .channel_affine = channel_affine_kernel<T>,
          .channel_gradient_sums = channel_gradient_sums_kernel<T>,
          .channel_gradient = channel_gradient_kernel<T>,
          .attention_forward = attention_forward_kernel<T>,
          .attention_backward = attention_backward_kernel<T>,
          .keep_mask = keep_mask_kernel<T>,
          .drop = drop_kernel<T>,
          .sweeps = make_sweeps(OptimizerSteps<T>()),
          .widen_bf16 = widen_bf16_kernel<T>,
          .round_bf16 = round_bf16_kernel<T>,
          .transpose = transpose_kernel<T>};
}

}  // namespace
}  // namespace qing::kernels
