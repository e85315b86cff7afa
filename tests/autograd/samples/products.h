#pragma once

#include <qing/autograd/ops/einsum.h>
#include <qing/autograd/ops/products.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kProductSamples[] = {
    {"matmul", "rectangular",
     [] {
       return leaves({{3, 5}, {5, 4}});
     },
     [](const Inputs& in) { return matmul(in[0], in[1]); }},
    {"matmul", "square with itself",
     [] {
       return leaves({{3, 3}});
     },
     [](const Inputs& in) { return matmul(in[0], in[0]); }},
    {"matmul", "vector and vector",
     [] {
       return leaves({{5}, {5}});
     },
     [](const Inputs& in) { return dot(in[0], in[1]); }},
    {"matmul", "matrix and vector",
     [] {
       return leaves({{3, 5}, {5}});
     },
     [](const Inputs& in) { return mv(in[0], in[1]); }},
    {"matmul", "vector and batch",
     [] {
       return leaves({{5}, {2, 5, 3}});
     },
     [](const Inputs& in) { return matmul(in[0], in[1]); }},
    {"matmul", "batch and one matrix",
     [] {
       return leaves({{2, 3, 4}, {4, 2}});
     },
     [](const Inputs& in) { return matmul(in[0], in[1]); }},
    {"matmul", "one matrix and batch",
     [] {
       return leaves({{3, 4}, {2, 4, 2}});
     },
     [](const Inputs& in) { return matmul(in[0], in[1]); }},
    {"matmul", "batches that broadcast both ways",
     [] {
       return leaves({{2, 1, 2, 3}, {3, 3, 2}});
     },
     [](const Inputs& in) { return matmul(in[0], in[1]); }},
    {"matmul", "bmm of transposed and sliced operands",
     [] {
       return leaves({{2, 4, 3}, {2, 4, 6}});
     },
     [](const Inputs& in) { return bmm(in[0].transpose(1, 2), in[1].slice(2, 0, 6, 2)); }},
    {"matmul", "baddbmm",
     [] {
       return leaves({{2}, {2, 3, 4}, {2, 4, 2}});
     },
     [](const Inputs& in) { return baddbmm(in[0], in[1], in[2], 0.5, -2); }},
    {"matmul", "einsum of three operands, one a diagonal",
     [] {
       return leaves({{2, 3, 3}, {3, 4, 2}, {4}});
     },
     [](const Inputs& in) { return einsum("bii,ijb,j->bj", in); }},
    {"matmul", "einsum with dots and a stretched dimension",
     [] {
       return leaves({{2, 1, 2, 3}, {3, 3, 2}});
     },
     [](const Inputs& in) { return einsum("...ij,...jk->k...i", in); }},
    {"linear", "of a vector",
     [] {
       return leaves({{5}, {4, 5}, {4}});
     },
     [](const Inputs& in) { return linear(in[0], in[1], in[2]); }},
    {"linear", "of transposed x and weight",
     [] {
       return leaves({{5, 2, 3}, {5, 4}, {4}});
     },
     [](const Inputs& in) {
       return linear(in[0].permute({2, 1, 0}), in[1].transpose(0, 1), in[2]);
     }},
    {"linear", "bilinear",
     [] {
       return leaves({{2, 3}, {2, 4}, {5, 3, 4}, {5}});
     },
     [](const Inputs& in) { return bilinear(in[0], in[1], in[2], in[3]); }},
    {"linear", "three dimensions",
     [] {
       return leaves({{2, 3, 5}, {4, 5}, {4}});
     },
     [](const Inputs& in) { return linear(in[0], in[1], in[2]); }},
    {"linear", "without bias",
     [] {
       return leaves({{3, 5}, {4, 5}});
     },
     [](const Inputs& in) { return linear(in[0], in[1]); }},
    {"linear_gelu", "matrix",
     [] {
       return leaves({{3, 5}, {4, 5}, {4}});
     },
     [](const Inputs& in) { return linear_gelu(in[0], in[1], in[2]); }},
    {"linear_joined", "three layers of two widths",
     [] {
       return leaves({{2, 3, 5}, {4, 5}, {2, 5}, {4, 5}, {4}, {2}, {4}});
     },
     [](const Inputs& in) {
       return linear_joined(in[0], {in[1], in[2], in[3]}, {in[4], in[5], in[6]});
     }},
    {"linear_joined", "one weight twice",
     [] {
       return leaves({{3, 5}, {4, 5}, {4}});
     },
     [](const Inputs& in) {
       return linear_joined(in[0], {in[1], in[1]}, {in[2], in[2]});
     }},
};

}  // namespace qing::test
