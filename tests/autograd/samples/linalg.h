#pragma once

#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/fft.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/linalg.h>
#include <qing/autograd/ops/math.h>
#include <qing/autograd/ops/products.h>
#include <qing/autograd/ops/rearrange.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

/// x·xᵀ + 2·1: symmetric, positive definite and far from singular.
inline Tensor definite(const Tensor& x) {
  const Tensor one = diag_embed(Tensor::full({x.size(-1)}, 2, DType::f64));
  return add(matmul(x, transpose(x, -2, -1)), one);
}

/// Results whose signs are arbitrary, without their signs: each column times the sign of a sum of it, outside the
/// graph.
inline Tensor without_signs(const Tensor& columns) { return mul(columns, detach(sign(sum(columns, {-2}, true)))); }

inline constexpr OpSample kLinalgSamples[] = {
    {"inv", "a batch",
     [] {
       return leaves({{2, 3, 3}});
     },
     [](const Inputs& in) { return linalg::inv(definite(in[0])); }},
    {"solve", "broadcast batches",
     [] {
       return leaves({{2, 3, 3}, {3, 2}});
     },
     [](const Inputs& in) { return linalg::solve(definite(in[0]), in[1]); }},
    {"solve", "a vector",
     [] {
       return leaves({{3, 3}, {3}});
     },
     [](const Inputs& in) { return linalg::solve(definite(in[0]), in[1]); }},
    {"solve_triangular", "upper",
     [] {
       return leaves({{3, 3}, {3, 2}});
     },
     [](const Inputs& in) { return linalg::solve_triangular(definite(in[0]), in[1], true); }},
    {"solve_triangular", "lower with a diagonal of ones",
     [] {
       return leaves({{2, 3, 3}, {2, 3, 1}});
     },
     [](const Inputs& in) { return linalg::solve_triangular(definite(in[0]), in[1], false, true); }},
    {"det", "a batch",
     [] {
       return leaves({{2, 3, 3}});
     },
     [](const Inputs& in) { return linalg::det(in[0]); }},
    {"slogdet", "a batch",
     [] {
       return leaves({{2, 3, 3}});
     },
     [](const Inputs& in) { return linalg::slogdet(in[0]).logabsdet; }},
    {"cholesky", "a batch",
     [] {
       return leaves({{2, 3, 3}});
     },
     [](const Inputs& in) { return linalg::cholesky(definite(in[0])); }},
    {"qr", "q, tall",
     [] {
       return leaves({{2, 4, 3}});
     },
     [](const Inputs& in) { return linalg::qr(in[0]).q; }},
    {"qr", "r, square",
     [] {
       return leaves({{3, 3}});
     },
     [](const Inputs& in) { return linalg::qr(in[0]).r; }},
    {"eigh", "values and vectors",
     [] {
       return leaves({{2, 3, 3}});
     },
     [](const Inputs& in) {
       const auto [values, vectors] = linalg::eigh(definite(in[0]));
       return cat({unsqueeze(values, -2), without_signs(vectors)}, -2);
     }},
    {"svd", "values",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) { return linalg::svd(in[0]).s; }},
    {"svd", "vectors, tall",
     [] {
       return leaves({{4, 3}});
     },
     [](const Inputs& in) {
       const auto [u, s, vh] = linalg::svd(in[0]);
       return cat({without_signs(u), without_signs(transpose(vh, 0, 1))}, 0);
     }},
    {"svd", "vectors, wide",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) {
       const auto [u, s, vh] = linalg::svd(in[0]);
       return cat({without_signs(u), without_signs(transpose(vh, 0, 1))}, 0);
     }},
    {"fft", "forward, of a dimension within",
     [] {
       return leaves({{6, 3, 2}});
     },
     [](const Inputs& in) { return fft::fft(in[0], {}, 0); }, 0.1},
    {"fft", "inverse, filled up",
     [] {
       return leaves({{2, 5, 2}});
     },
     [](const Inputs& in) { return fft::ifft(in[0], 8); }, 0.1},
    {"fft", "real, odd",
     [] {
       return leaves({{2, 7}});
     },
     [](const Inputs& in) { return fft::rfft(in[0]); }, 0.1},
    {"fft", "real back, even",
     [] {
       return leaves({{2, 5, 2}});
     },
     [](const Inputs& in) { return fft::irfft(in[0]); }, 0.1},
};

}  // namespace qing::test
