// Computes rows by several threads. Each thread keeps the same rows from operation to operation.
#pragma once

#include <cstdint>
#include <functional>

#include <qing/tensor/tensor.h>

namespace qing::nn {

/// Whether in_row_parts() is faster than threads that share each product. x [rows, width] is multiplied by weights of
/// so many bytes in all. Every thread reads all weights, so there must be many rows or small weights. False while
/// gradients are enabled and under an AutocastGuard.
bool shares_rows(const Tensor& x, int64_t bytes);

/// Returns run(x, y) for x and y [rows, ...], computed in ranges of rows by all threads. A row of a result of `run`
/// must depend on the same row of x and y alone. A range is empty only when there are no rows. A call of `run` has no
/// gradients and one thread. It returns x's dtype, f32 or f64.
Tensor in_row_parts(const Tensor& x, const Tensor& y,
                    const std::function<Tensor(const Tensor& x, const Tensor& y)>& run);

}  // namespace qing::nn
