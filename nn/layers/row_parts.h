// Computing rows by several threads, each of which computes the same rows from operation to operation.
#pragma once

#include <cstdint>
#include <functional>

#include <qing/tensor/tensor.h>

namespace qing::nn {

/// Whether in_row_parts() is faster than threads that share each product, for rows x [rows, width] that are multiplied
/// by weights of so many bytes: for enough rows, or few weights, since every thread reads all weights. False while
/// gradients are enabled and under an AutocastGuard.
bool shares_rows(const Tensor& x, int64_t bytes);

/// run(x, y) for x and y [rows, ...], where a row of the result depends on the same row of x and y alone. Each thread
/// calls `run` for a range of rows, which is empty only when there are no rows. A call has no gradients and one thread,
/// and returns x's dtype, f32 or f64.
Tensor in_row_parts(const Tensor& x, const Tensor& y,
                    const std::function<Tensor(const Tensor& x, const Tensor& y)>& run);

}  // namespace qing::nn
