#pragma once

#include <qing/autograd/ops/ctc_loss.h>
#include <qing/autograd/ops/linear_cross_entropy.h>
#include <qing/autograd/ops/losses.h>
#include <qing/autograd/ops/reductions.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline Tensor signs(Shape shape) {
  Tensor t = Tensor::full(shape, -1, DType::f64);
  for (int64_t i = 0; i < t.numel(); i += 2) t.data<double>()[i] = 1;
  return t;
}

inline constexpr OpSample kLossSamples[] = {
    {"cross_entropy", "three classes, a row ignored",
     [] {
       return leaves({{4, 3}});
     },
     [](const Inputs& in) {
       return cross_entropy(in[0], ids({2, 0, -100, 1}, {4}), -100);
     }},
    {"cross_entropy", "weights and smoothing, a row ignored",
     [] {
       return leaves({{4, 3}});
     },
     [](const Inputs& in) {
       const Tensor weight = Tensor::from<double>({0.5, 1, 2}, {3});
       return cross_entropy(in[0], ids({2, 0, 1, 1}, {4}),
                            {.weight = weight, .ignore_index = 0, .label_smoothing = 0.2});
     }},
    {"cross_entropy", "images, none",
     [] {
       return leaves({{2, 3, 2, 2}});
     },
     [](const Inputs& in) {
       return cross_entropy(in[0], ids({2, 0, 1, 1, 0, 0, 2, -100}, {2, 2, 2}), {.reduction = Reduction::none});
     }},
    {"cross_entropy", "probabilities with weights and smoothing",
     [] {
       return leaves({{2, 3, 2}, {2, 3, 2}});
     },
     [](const Inputs& in) {
       return cross_entropy(in[0], in[1], {.weight = Tensor::from<double>({0.5, 1, 2}, {3}), .label_smoothing = 0.1});
     }},
    {"cross_entropy", "probabilities, sum",
     [] {
       return leaves({{4}, {4}});
     },
     [](const Inputs& in) { return cross_entropy(in[0], in[1], {.reduction = Reduction::sum}); }},
    {"linear_cross_entropy", "smoothing and bias",
     [] {
       return leaves({{5, 4}, {3, 4}, {3}});
     },
     [](const Inputs& in) {
       return linear_cross_entropy(in[0], in[1], in[2], ids({2, 0, 1, 1, 0}, {5}), {.label_smoothing = 0.1});
     }},
    {"linear_cross_entropy", "sum without bias",
     [] {
       return leaves({{2, 4}, {3, 4}});
     },
     [](const Inputs& in) {
       return linear_cross_entropy(in[0], in[1], {}, ids({2, 0}, {2}), {.reduction = Reduction::sum});
     }},
    {"nll_loss", "weights, a row ignored",
     [] {
       return leaves({{4, 3}});
     },
     [](const Inputs& in) {
       return nll_loss(in[0], ids({2, 0, -100, 1}, {4}), {.weight = Tensor::from<double>({0.5, 1, 2}, {3})});
     }},
    {"nll_loss", "sequences, none",
     [] {
       return leaves({{2, 3, 2}});
     },
     [](const Inputs& in) {
       return nll_loss(in[0], ids({2, 0, 1, 1}, {2, 2}), {.reduction = Reduction::none});
     }},
    {"mse_loss", "mean",
     [] {
       return leaves({{3, 4}, {3, 4}});
     },
     [](const Inputs& in) { return mse_loss(in[0], in[1]); }},
    {"mse_loss", "none",
     [] {
       return leaves({{3, 4}, {3, 4}});
     },
     [](const Inputs& in) { return mse_loss(in[0], in[1], Reduction::none); }},
    {"mse_loss", "sum, against itself", [] { return leaves({{3}}); },
     [](const Inputs& in) { return mse_loss(in[0], in[0], Reduction::sum); }},
    {"l1_loss", "mean",
     [] {
       return leaves({{3, 4}, {3, 4}});
     },
     [](const Inputs& in) { return l1_loss(in[0], in[1]); }},
    {"smooth_l1_loss", "beta 0.7",
     [] {
       return leaves({{3, 4}, {3, 4}});
     },
     [](const Inputs& in) { return smooth_l1_loss(in[0], in[1], Reduction::sum, 0.7); }},
    {"huber_loss", "delta 0.7",
     [] {
       return leaves({{3, 4}, {3, 4}});
     },
     [](const Inputs& in) { return huber_loss(in[0], in[1], Reduction::none, 0.7); }},
    {"binary_cross_entropy", "weights",
     [] {
       return Inputs{uniform({2, 3}, 0.1, 0.9), uniform({2, 3}, 0, 1, 1)};
     },
     [](const Inputs& in) {
       return binary_cross_entropy(in[0], in[1], Tensor::from<double>({0.5, 1, 2}, {3}));
     }},
    {"binary_cross_entropy_with_logits", "weights of elements and of positives",
     [] {
       return leaves({{2, 3}, {2, 3}});
     },
     [](const Inputs& in) {
       return binary_cross_entropy_with_logits(in[0], in[1], Tensor::from<double>({0.5, 2}, {2, 1}), Reduction::sum,
                                               Tensor::from<double>({0.5, 1, 3}, {3}));
     }},
    {"binary_cross_entropy_with_logits", "plain",
     [] {
       return leaves({{5}, {5}});
     },
     [](const Inputs& in) { return binary_cross_entropy_with_logits(in[0], in[1]); }},
    {"kl_div", "probabilities, batchmean",
     [] {
       return Inputs{leaf({3, 4}), positive({3, 4}, 1)};
     },
     [](const Inputs& in) { return kl_div(in[0], in[1], Reduction::batchmean); }},
    {"kl_div", "logarithms, none",
     [] {
       return leaves({{3, 4}, {3, 4}});
     },
     [](const Inputs& in) { return kl_div(in[0], in[1], Reduction::none, true); }},
    {"sum", "in poisson_nll_loss",
     [] {
       return Inputs{positive({4}), positive({4}, 1)};
     },
     [](const Inputs& in) {
       return poisson_nll_loss(in[0], in[1], false, Reduction::sum) + poisson_nll_loss(in[0], in[1]);
     }},
    {"mean", "in gaussian_nll_loss",
     [] {
       return Inputs{leaf({3, 4}), leaf({3, 4}, 1), positive({3, 1}, 2)};
     },
     [](const Inputs& in) { return gaussian_nll_loss(in[0], in[1], in[2]); }},
    {"mean", "in hinge_embedding_loss", [] { return leaves({{6}}); },
     [](const Inputs& in) { return hinge_embedding_loss(in[0], signs({6}), 0.5); }},
    {"mean", "in margin_ranking_loss",
     [] {
       return leaves({{6}, {6}});
     },
     [](const Inputs& in) { return margin_ranking_loss(in[0], in[1], signs({6}), 0.5); }},
    {"mean", "in cosine_embedding_loss",
     [] {
       return leaves({{4, 3}, {4, 3}});
     },
     [](const Inputs& in) { return cosine_embedding_loss(in[0], in[1], signs({4}), -0.2); }},
    {"mean", "in triplet_margin_loss",
     [] {
       return leaves({{4, 3}, {4, 3}, {4, 3}});
     },
     [](const Inputs& in) { return triplet_margin_loss(in[0], in[1], in[2], 1.5); }},
    {"ctc_loss", "a batch with repeated labels and different lengths",
     [] {
       return leaves({{5, 2, 4}});
     },
     [](const Inputs& in) {
       return ctc_loss(in[0], ids({1, 1, 3, 2}, {2, 2}), {5, 4}, {2, 1}, {.reduction = Reduction::none});
     }},
    {"ctc_loss", "targets one after another, another blank, no target",
     [] {
       return leaves({{4, 3, 3}});
     },
     [](const Inputs& in) {
       return ctc_loss(in[0], ids({0, 1, 0}, {3}), {4, 3, 2}, {2, 1, 0}, {.blank = 2});
     }},
};

}  // namespace qing::test
