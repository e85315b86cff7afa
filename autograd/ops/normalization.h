// Operations that normalise rows or channels. f32 or f64, one dtype (DTypeError); ShapeError if shapes do not fit.
#pragma once

#include <optional>
#include <vector>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Normalises over the last dimension n (Ba et al. 2016): (x−mean)/sqrt(var+eps)·weight + bias. weight and bias are
/// [n].
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);
/// Normalises over the last dimensions, whose sizes are `normalized_shape` (ShapeError). weight (1) and bias (0) may be
/// undefined. This and the norms below are differentiable twice, except dropout_add_layer_norm and
/// embedding_layer_norm.
Tensor layer_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);
/// x/sqrt(mean(x²) + eps)·weight over the last dimensions (Zhang & Sennrich 2019). The default eps is the dtype's ε, as
/// in PyTorch.
Tensor rms_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {},
                std::optional<double> eps = std::nullopt);
Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps);  ///< over the dimensions of the weight's shape
/// Normalises every channel of x [batch, channels, ...] (Ioffe & Szegedy 2015). weight and bias are [channels] or
/// undefined.
/// Training: by the batch's mean and (biased) variance. The running statistics, [channels] or undefined, become
/// (1−momentum)·running + momentum·batch, with the unbiased variance. ValueError if a channel has only one value. Sums
/// are in double. The bits of an element depend on the whole batch.
/// Inference: by the running statistics (ValueError if undefined).
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight = {},
                  const Tensor& bias = {}, bool training = false, double momentum = 0.1, double eps = 1e-5);
/// relu(batch_norm(x, ...) + residual) in one pass over memory, forward and backward. residual has x's shape, or is
/// undefined. Otherwise as batch_norm.
Tensor batch_norm_relu(const Tensor& x, const Tensor& residual, const Tensor& running_mean, const Tensor& running_var,
                       const Tensor& weight = {}, const Tensor& bias = {}, bool training = false, double momentum = 0.1,
                       double eps = 1e-5);
/// Normalises x [batch, channels, ...] over each group of channels and all positions (Wu & He 2018). weight and bias
/// are [channels] or undefined. ValueError unless num_groups divides the channels.
Tensor group_norm(const Tensor& x, int64_t num_groups, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);
/// group_norm with each channel as a group (Ulyanov et al. 2016). x is [batch, channels, ...] with more than one
/// position (ValueError).
Tensor instance_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
/// instance_norm with running statistics, [channels] or undefined. They are updated as in batch_norm, with the samples'
/// means and unbiased variances, averaged over the batch. Without use_input_stats, x is normalised by the running
/// statistics (ValueError if undefined).
Tensor instance_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, bool use_input_stats = true, double momentum = 0.1, double eps = 1e-5);
/// layer_norm(residual + dropout(x, p), weight, bias, eps) in one pass. No dropout if rng is null or p is 0; else takes
/// one stream.
Tensor dropout_add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                              double eps, double p, Generator* rng);

/// Rows of a table [entries, width] by id [rows]. Without ids: the first row of the table, for every position.
struct TableRows {
  Tensor table;
  Tensor ids = {};
};
/// dropout(layer_norm(Σ tables[i].table[ids], weight, bias, eps), p) in one pass; terms are added in order. No dropout
/// if rng is null or p is 0; else takes one stream. ids are i32 or i64, and defined at least for the first table.
/// IndexError as embedding(). The tables' gradients know their rows (see row_grad()).
Tensor embedding_layer_norm(const std::vector<TableRows>& tables, const Tensor& weight, const Tensor& bias, double eps,
                            double p, Generator* rng);

}  // namespace qing
