// Losses. Names, reductions and defaults are torch.nn.functional's. Where PyTorch gives NaN for the mean over nothing,
// these throw ValueError. Sums are taken in double over fixed chunks. All are differentiable twice.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

/// What becomes of the losses of the elements (or rows): all of them, their mean, their sum, or (kl_div alone) their
/// sum over the first dimension's size.
enum class Reduction : uint8_t { none, mean, sum, batchmean };

struct CrossEntropyOptions {
  Tensor weight = {};           ///< [classes]: of each class; not differentiated
  int64_t ignore_index = -100;  ///< rows with this class do not count
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;  ///< ε of Szegedy et al. 2016: targets become (1−ε)·target + ε/classes
};
/// −Σ_c q[c]·weight[c]·log softmax(logits)[c] of each row. The logits are [rows, classes], [rows, classes, d1, ...] or
/// [classes]; the targets class indices (i32 or i64) of that shape without the classes, or probabilities q of that
/// shape and dtype, differentiated as well. The mean over class indices is weighted: divided by the sum of the targets'
/// weights. IndexError names a target out of range and its row; ValueError if no row counts. With ε the type's epsilon,
/// a row's loss of a class index is within 8·ε·(1 + its terms), as long as rows are up to 5000 classes wide.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options = {});
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, int64_t ignore_index);

struct NllLossOptions {
  Tensor weight = {};
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
};
/// −weight[target]·x[target] of each row of log-probabilities x; shapes and errors as cross_entropy of class indices.
Tensor nll_loss(const Tensor& log_probabilities, const Tensor& targets, const NllLossOptions& options = {});

// Below, x and target have one shape and dtype (ShapeError, DTypeError), and the gradient flows to both.

Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);  ///< (x−t)²
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);   ///< |x−t|
/// (x−t)²/(2·beta) where |x−t| < beta, else |x−t| − beta/2 (Girshick 2015). beta ≥ 0.
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean, double beta = 1);
/// (x−t)²/2 where |x−t| ≤ delta, else delta·(|x−t| − delta/2) (Huber 1964). delta > 0.
Tensor huber_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean, double delta = 1);
/// −t·log x − (1−t)·log(1−x) for probabilities x (ValueError outside [0, 1]); logarithms are cut off at −100. The
/// weight broadcasts to x and is not differentiated.
Tensor binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                            Reduction reduction = Reduction::mean);
/// The same of sigmoid(x) without its cancellation. pos_weight, which broadcasts to x, multiplies the t·log term.
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                                        Reduction reduction = Reduction::mean, const Tensor& pos_weight = {});
/// t·(log t − x), 0 for t = 0, for log-probabilities x; with log_target the target holds log t.
Tensor kl_div(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean, bool log_target = false);
/// exp(x) − t·x for log_input, else x − t·log(x + 1e-8).
Tensor poisson_nll_loss(const Tensor& x, const Tensor& target, bool log_input = true,
                        Reduction reduction = Reduction::mean);
/// (log v + (x−t)²/v)/2, v = max(variance, eps); the variance has x's shape, or 1 where it is shared. ValueError if
/// negative.
Tensor gaussian_nll_loss(const Tensor& x, const Tensor& target, const Tensor& variance,
                         Reduction reduction = Reduction::mean, double eps = 1e-6);

// Targets of 1 and −1, of x's dtype.

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
