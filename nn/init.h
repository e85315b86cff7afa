// Initialisers: each overwrites the elements of a contiguous f32 or f64 tensor, which may be a leaf. Distributions are
// those of torch.nn.init's functions of the same names; the random numbers are Philox's.
#pragma once

#include <cmath>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing::nn::init {

/// The function after a layer. It determines the gain that keeps the variance of activations.
enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };
/// The pass whose variance is kept: fan_in the forward pass, fan_out the backward pass.
enum class FanMode { fan_in, fan_out };

/// Only leaky_relu uses `negative_slope`.
double calculate_gain(Nonlinearity nonlinearity, double negative_slope = 0.01);

struct Fans {
  int64_t in, out;
};
/// Fan-in and fan-out of a weight [out, in, kernel...]. ShapeError below two dimensions.
Fans calculate_fans(const Tensor& weight);

/// While one lives, its thread's random initialisers below leave tensors as they are and draw no numbers: for a model
/// whose weights are all about to be replaced by those of a file.
class SkippedInit {
 public:
  SkippedInit();
  ~SkippedInit();
  SkippedInit(const SkippedInit&) = delete;
  SkippedInit& operator=(const SkippedInit&) = delete;

 private:
  bool outer_;
};

void constant(Tensor& tensor, Scalar value);
void zeros(Tensor& tensor);
void ones(Tensor& tensor);
void eye(Tensor& matrix);  ///< ShapeError unless two dimensions.
void uniform(Tensor& tensor, Generator& rng, double low = 0, double high = 1);
void normal(Tensor& tensor, Generator& rng, double mean = 0, double stddev = 1);
/// The normal distribution truncated to [low, high], by the inverse of its CDF. ValueError unless low < high.
void trunc_normal(Tensor& tensor, Generator& rng, double mean = 0, double stddev = 1, double low = -2, double high = 2);

/// Glorot & Bengio 2010: variance gain²·2/(in + out).
void xavier_uniform(Tensor& weight, Generator& rng, double gain = 1);
void xavier_normal(Tensor& weight, Generator& rng, double gain = 1);
/// He et al. 2015: variance gain²/fan, the gain being that of `nonlinearity` with slope a.
void kaiming_uniform(Tensor& weight, Generator& rng, double a = 0, FanMode mode = FanMode::fan_in,
                     Nonlinearity nonlinearity = Nonlinearity::leaky_relu);
void kaiming_normal(Tensor& weight, Generator& rng, double a = 0, FanMode mode = FanMode::fan_in,
                    Nonlinearity nonlinearity = Nonlinearity::leaky_relu);
/// A matrix [size(0), rest] with orthonormal rows or columns, whichever are fewer, times gain: Q of a normal matrix's
/// QR decomposition by Householder reflections, signs chosen so that Q is uniform (Saxe et al. 2014; Mezzadri 2007).
void orthogonal(Tensor& weight, Generator& rng, double gain = 1);
/// Each column is normal(0, stddev), with the share `sparsity` of its elements zero (Martens 2010). ShapeError unless
/// two dimensions.
void sparse(Tensor& matrix, Generator& rng, double sparsity, double stddev = 0.01);

/// The default of torch's linear and convolution layers: weight uniform in ±1/sqrt(fan_in), which is kaiming_uniform
/// with a = sqrt(5), and the bias, if defined, likewise.
void linear_default(Tensor& weight, Tensor& bias, Generator& rng);

}  // namespace qing::nn::init
