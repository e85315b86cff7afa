// Normalisation layers. <qing/autograd/ops/normalization.h> states the formulas.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <qing/autograd/ops/normalization.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// A norm over the last dimension that can take a residual in. forward and forward_residual throw ShapeError unless the
/// last dimension has the norm's width (and both inputs one shape), DTypeError unless inputs have the weight's dtype,
/// f32 or f64. They may be called from many threads.
class ResidualNorm : public UnaryModule {
 public:
  /// forward(residual + dropout(x, p)); no dropout when rng is null. ValueError unless 0 ≤ p < 1.
  virtual Tensor forward_residual(const Tensor& x, const Tensor& residual, double p, Generator* rng) const = 0;
};

/// (x − mean)/sqrt(var + eps)·weight + bias over the last dimension, `width` long; weight and bias [width] (Ba et al.
/// 2016). Errors as ResidualNorm.
class LayerNorm : public ResidualNorm {
 public:
  /// ValueError unless width ≥ 1.
  explicit LayerNorm(int64_t width, double eps = 1e-5);
  void visit(Visitor& visitor) override;
  Tensor forward_residual(const Tensor& x, const Tensor& residual, double p, Generator* rng) const override;
  /// dropout(forward(Σ of the tables' rows), p) in one pass; no dropout when rng is null. ShapeError for tables or ids
  /// that do not fit, IndexError for an id outside its table, DTypeError as forward.
  Tensor forward_tables(const std::vector<TableRows>& tables, double p, Generator* rng) const;

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  Tensor weight_, bias_;
  double eps_;
};

/// x/sqrt(mean(x²) + eps)·weight over the last dimension, `width` long; weight [width] (Zhang & Sennrich 2019). eps is
/// by default the dtype's ε. Errors as ResidualNorm.
class RMSNorm : public ResidualNorm {
 public:
  /// ValueError unless width ≥ 1.
  explicit RMSNorm(int64_t width, std::optional<double> eps = std::nullopt);
  void visit(Visitor& visitor) override;
  Tensor forward_residual(const Tensor& x, const Tensor& residual, double p, Generator* rng) const override;

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  Tensor weight_;
  std::optional<double> eps_;
};

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;  ///< the weight of a new batch in the running statistics
  bool affine = true;     ///< weight and bias [channels]
  bool track_running_stats = true;
};

/// The base of norms with running statistics: parameters weight and bias, buffers running_mean, running_var and
/// num_batches_tracked. In training mode they normalise by the input's statistics, and forward updates the running
/// statistics, so only one thread at a time may call it. In evaluation mode they normalise by the running statistics,
/// if these are tracked.
class RunningNorm : public UnaryModule {
 public:
  void visit(Visitor& visitor) override;

 protected:
  RunningNorm(const char* name, int64_t channels, BatchNormOptions options);
  /// ShapeError with the layer unless x has from `least` to `most` dimensions and the right number of channels.
  void check(const Tensor& x, int64_t least, int64_t most, int64_t channel_dim) const;
  bool by_input() const { return training() || !options_.track_running_stats; }

  const char* name_;
  int64_t channels_;
  BatchNormOptions options_;
  Tensor weight_, bias_, running_mean_, running_var_, num_batches_tracked_;
};

/// Normalises every channel over the batch and all positions.
class BatchNorm : public RunningNorm {
 public:
  /// relu(forward(x) + residual) in one pass over memory; residual has x's shape or is undefined.
  Tensor forward_relu(const Tensor& x, const Tensor& residual = {}) const;

 protected:
  /// Inputs have from least_rank to most_rank dimensions.
  BatchNorm(const char* name, int64_t channels, int64_t least_rank, int64_t most_rank, BatchNormOptions options)
      : RunningNorm(name, channels, options), least_rank_(least_rank), most_rank_(most_rank) {}

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  void count_batch() const;
  int64_t least_rank_, most_rank_;
};

/// x [batch, channels] or [batch, channels, length].
class BatchNorm1d : public BatchNorm {
 public:
  explicit BatchNorm1d(int64_t channels, BatchNormOptions options = {})
      : BatchNorm("BatchNorm1d", channels, 2, 3, options) {}
};
/// x [batch, channels, height, width].
class BatchNorm2d : public BatchNorm {
 public:
  explicit BatchNorm2d(int64_t channels, BatchNormOptions options = {})
      : BatchNorm("BatchNorm2d", channels, 4, 4, options) {}
};

struct InstanceNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;
  bool affine = false;
  bool track_running_stats = false;
};

/// Normalises every channel of each sample over all positions.
class InstanceNorm : public RunningNorm {
 protected:
  /// Inputs have `rank` dimensions, or one less without a batch.
  InstanceNorm(const char* name, int64_t channels, int64_t rank, InstanceNormOptions options)
      : RunningNorm(name, channels, {options.eps, options.momentum, options.affine, options.track_running_stats}),
        rank_(rank) {}

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  int64_t rank_;
};

/// x [batch, channels, length] or [channels, length].
class InstanceNorm1d : public InstanceNorm {
 public:
  explicit InstanceNorm1d(int64_t channels, InstanceNormOptions options = {})
      : InstanceNorm("InstanceNorm1d", channels, 3, options) {}
};
/// x [batch, channels, height, width] or [channels, height, width].
class InstanceNorm2d : public InstanceNorm {
 public:
  explicit InstanceNorm2d(int64_t channels, InstanceNormOptions options = {})
      : InstanceNorm("InstanceNorm2d", channels, 4, options) {}
};

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;  ///< weight and bias [channels]
};

/// Normalises every group of channels over all positions of each sample.
class GroupNorm : public UnaryModule {
 public:
  GroupNorm(int64_t num_groups, int64_t channels,
            GroupNormOptions options = {});  ///< ValueError unless num_groups divides the channels.
  void visit(Visitor& visitor) override;

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  int64_t num_groups_;
  double eps_;
  Tensor weight_, bias_;
};

}  // namespace qing::nn
