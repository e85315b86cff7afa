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

/// run(x, y), whose rows depend on the same rows of x and y [rows, ...] alone, from run(rows of x, rows of y) for a run
/// of rows on each thread. `run` has one thread then and no gradients, and returns f32 or f64 of x's dtype.
Tensor in_row_parts(const Tensor& x, const Tensor& y,
                    const std::function<Tensor(const Tensor& x, const Tensor& y)>& run);

}  // namespace qing::nn
