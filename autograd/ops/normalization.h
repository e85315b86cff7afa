// Operations that normalise rows.
#pragma once

#include <optional>
#include <vector>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Normalises the last dimension (Ba et al. 2016): (x−mean)/sqrt(var+eps)·weight + bias; weight and bias are [n].
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);
/// The same over the last dimensions, which are `normalized_shape`; weight (1) and bias (0) may be undefined.
/// Differentiable twice, like the norms below but for dropout_add_layer_norm. ShapeError when x does not end in that
/// shape.
Tensor layer_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);
/// x/sqrt(mean(x²) + eps)·weight over the last dimensions (Zhang & Sennrich 2019); eps by default the dtype's ε, as in
/// PyTorch.
Tensor rms_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {},
                std::optional<double> eps = std::nullopt);
Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps);  ///< over the weight's shape
/// Normalises every channel of x [batch, channels, ...] (Ioffe & Szegedy 2015); weight and bias [channels], or
/// undefined. Training: by the batch's mean and (biased) variance; the running ones, [channels] or undefined, become
/// (1−momentum)·running + momentum·batch, with the unbiased variance. Else by the running ones, which must be there.
/// ValueError for training on one value a channel. Sums are in double; an element's bits depend on the whole batch
/// then.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight = {},
                  const Tensor& bias = {}, bool training = false, double momentum = 0.1, double eps = 1e-5);
/// Normalises x [batch, channels, ...] over each group of channels and all positions (Wu & He 2018); weight and bias
/// [channels], or undefined. ValueError unless num_groups divides the channels.
Tensor group_norm(const Tensor& x, int64_t num_groups, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);
/// group_norm with every channel a group (Ulyanov et al. 2016); x [batch, channels, ...] with more than one position.
Tensor instance_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
/// The same with running statistics, [channels] or undefined, which the means over the batch of the samples' means and
/// unbiased variances go into as with batch_norm. Without use_input_stats: by these (ValueError if undefined).
Tensor instance_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, bool use_input_stats = true, double momentum = 0.1, double eps = 1e-5);
/// layer_norm(residual + dropout(x, p), weight, bias, eps) in one pass; rng null (or p 0): no dropout. Takes one
/// stream.
Tensor dropout_add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                              double eps, double p, Generator* rng);

/// Rows of a table [entries, width] by id [rows]; with `ids` undefined its first row, for every one.
struct TableRows {
  Tensor table;
  Tensor ids = {};
};
/// dropout(layer_norm(Σ tables[i].table[ids], weight, bias, eps), p) in one pass, the terms added in their order; rng
/// null (or p 0): no dropout. Takes one stream. ids i32 or i64, defined for the first table at least. IndexError as
/// embedding(); the tables' gradients know their rows (see row_grad()).
Tensor embedding_layer_norm(const std::vector<TableRows>& tables, const Tensor& weight, const Tensor& bias, double eps,
                            double p, Generator* rng);

}  // namespace qing
