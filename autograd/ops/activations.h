// Activation functions, elementwise on tensors of any strides. Results are contiguous, of x's shape and dtype. f32 or
// f64 (DTypeError). Names, parameters and the derivatives at kinks are PyTorch's (torch.nn.functional).
#pragma once

#include <optional>

#include <qing/tensor/tensor.h>

namespace qing {

Tensor sigmoid(const Tensor& x);      ///< 1/(1 + e^−x)
Tensor log_sigmoid(const Tensor& x);  ///< ln sigmoid(x)
/// ln(x/(1−x)). Unless eps is negative or absent, x is first clamped to [eps, 1−eps]; the gradient is then 0 outside
/// the bounds, and at them the one inside. Without eps it is NaN below 0 and above 1.
Tensor logit(const Tensor& x, std::optional<double> eps = std::nullopt);

Tensor relu(const Tensor& x);   ///< derivative 0 at 0
Tensor relu6(const Tensor& x);  ///< hardtanh(x, 0, 6)
Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);
Tensor elu(const Tensor& x, double alpha = 1);   ///< x, or alpha·(e^x − 1) below 0 (Clevert et al. 2016)
Tensor selu(const Tensor& x);                    ///< Klambauer et al. 2017
Tensor celu(const Tensor& x, double alpha = 1);  ///< x, or alpha·(e^{x/alpha} − 1) below 0 (Barron 2017); alpha ≠ 0

enum class Approximation { none, tanh };
/// x·Φ(x) (Hendrycks & Gimpel 2016), Φ by the error function or from tanh(√(2/π)·(x + 0.044715·x³)).
Tensor gelu(const Tensor& x);
Tensor gelu(const Tensor& x, Approximation approximate);
Tensor silu(const Tensor& x);  ///< x·sigmoid(x)
Tensor mish(const Tensor& x);  ///< x·tanh(softplus(x)) (Misra 2019)
/// ln(1 + e^{beta·x})/beta, and x where beta·x > threshold; beta ≠ 0.
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);
Tensor softsign(const Tensor& x);    ///< x/(1 + |x|)
Tensor tanhshrink(const Tensor& x);  ///< x − tanh(x)

/// clamp(x, low, high), but with derivative 1 for NaN. ValueError unless low ≤ high.
Tensor hardtanh(const Tensor& x, double low = -1, double high = 1);
Tensor hardsigmoid(const Tensor& x);                      ///< relu6(x + 3)/6
Tensor hardswish(const Tensor& x);                        ///< x·hardsigmoid(x) (Howard et al. 2019)
Tensor softshrink(const Tensor& x, double lambda = 0.5);  ///< towards 0 by lambda, or 0; ValueError if lambda < 0
Tensor hardshrink(const Tensor& x, double lambda = 0.5);  ///< x, or 0 where |x| ≤ lambda
Tensor threshold(const Tensor& x, double threshold, double value);  ///< x where x > threshold, else value

/// With a and b the halves of x along `dim`: a·sigmoid(b) (Dauphin et al. 2017). swiglu: silu(a)·b (Shazeer 2020).
/// ShapeError if the size of `dim` is odd, IndexError if `dim` is out of range.
Tensor glu(const Tensor& x, int64_t dim = -1);
Tensor swiglu(const Tensor& x, int64_t dim = -1);

}  // namespace qing
