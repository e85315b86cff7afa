// Losses. Names, reductions and defaults are torch.nn.functional's. The mean over no elements is a ValueError (PyTorch
// gives NaN). Sums are taken in double over fixed chunks. f32 or f64 (DTypeError). All are differentiable twice.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

/// How the losses of the elements (or rows) are reduced: not at all, to their mean, to their sum, or (kl_div only) to
/// their sum divided by the size of the first dimension. Another loss with batchmean is a ValueError.
enum class Reduction : uint8_t { none, mean, sum, batchmean };

struct CrossEntropyOptions {
  Tensor weight = {};           ///< [classes]: the weight of each class; not differentiated
  int64_t ignore_index = -100;  ///< rows with this class do not count
  Reduction reduction = Reduction::mean;
  /// ε of Szegedy et al. 2016, in [0, 1] (ValueError): targets become (1−ε)·target + ε/classes
  double label_smoothing = 0;
};
/// −Σ_c q[c]·weight[c]·log softmax(logits)[c] for each row. Logits are [rows, classes], [rows, classes, d1, ...] or
/// [classes]. Targets are class indices (i32 or i64) of the logits' shape without the classes, or probabilities q of
/// the logits' shape and dtype, which are differentiated too. With class indices the mean is weighted: the divisor is
/// the sum of the targets' weights. ShapeError if shapes do not fit; IndexError names a target out of range and its
/// row; ValueError if no row counts. With ε the dtype's epsilon, the loss of a row with a class index is within 8·ε·(1
/// + its terms), for at most 5000 classes.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options = {});
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, int64_t ignore_index);

struct NllLossOptions {
  Tensor weight = {};
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
};
/// −weight[target]·x[target] for each row of log-probabilities x. Shapes and errors as cross_entropy with class
/// indices.
Tensor nll_loss(const Tensor& log_probabilities, const Tensor& targets, const NllLossOptions& options = {});

// Below, x and target have one shape and dtype (ShapeError, DTypeError), and the gradient flows to both.

Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);  ///< (x−t)²
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);   ///< |x−t|
/// (x−t)²/(2·beta) where |x−t| < beta, else |x−t| − beta/2 (Girshick 2015). beta ≥ 0.
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean, double beta = 1);
/// (x−t)²/2 where |x−t| ≤ delta, else delta·(|x−t| − delta/2) (Huber 1964). delta > 0.
Tensor huber_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean, double delta = 1);
/// −t·log x − (1−t)·log(1−x) for probabilities x (ValueError outside [0, 1]). Logarithms are cut off at −100. `weight`
/// broadcasts to x and is not differentiated.
Tensor binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                            Reduction reduction = Reduction::mean);
/// binary_cross_entropy of sigmoid(x), without its cancellation. pos_weight, which broadcasts to x, multiplies the
/// t·log term.
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                                        Reduction reduction = Reduction::mean, const Tensor& pos_weight = {});
/// t·(log t − x) for log-probabilities x; 0 where t = 0. With log_target the target holds log t.
Tensor kl_div(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean, bool log_target = false);
/// exp(x) − t·x for log_input, else x − t·log(x + 1e-8).
Tensor poisson_nll_loss(const Tensor& x, const Tensor& target, bool log_input = true,
                        Reduction reduction = Reduction::mean);
/// (log v + (x−t)²/v)/2 with v = max(variance, eps). `variance` has x's shape, or size 1 where it is shared. ValueError
/// if it is negative.
Tensor gaussian_nll_loss(const Tensor& x, const Tensor& target, const Tensor& variance,
                         Reduction reduction = Reduction::mean, double eps = 1e-6);

// Targets are 1 or −1, of x's dtype.

/// x where the target is 1, max(0, margin − x) where it is −1.
Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, double margin = 1,
                            Reduction reduction = Reduction::mean);
/// max(0, −target·(a − b) + margin).
Tensor margin_ranking_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin = 0,
                           Reduction reduction = Reduction::mean);
/// 1 − cos(a, b) where the target is 1, max(0, cos(a, b) − margin) where it is −1; a and b [rows, n] or [n].
Tensor cosine_embedding_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin = 0,
                             Reduction reduction = Reduction::mean);
/// max(0, ‖anchor − positive + ε‖ − ‖anchor − negative + ε‖ + margin) over the last dimension, ε = 1e-6 (Schroff et al.
/// 2015).
Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin = 1,
                           Reduction reduction = Reduction::mean);

}  // namespace qing
