#pragma once

#include <qing/autograd/ops/convolution3d.h>
#include <qing/autograd/ops/distances.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/gradient_checkpoint.h>
#include <qing/autograd/ops/sorting.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kCompositionSamples[] = {
    {"checkpoint", "a product with a dropout inside",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) {
       Generator rng(3);
       // The generator must live as long as the graph.
       static Generator kept;
       kept = rng;
       return checkpoint([](const Inputs& x) { return tanh(x[0]) * dropout(x[1], 0.3, kept); }, in, &kept);
     }},
    {"conv2d", "of volumes, all options",
     [] {
       return leaves({{2, 4, 5, 4, 4}, {4, 2, 2, 3, 2}, {4}});
     },
     [](const Inputs& in) {
       return conv3d(in[0], in[1], in[2],
                     {.stride = {2, 1, 2}, .padding = {1, 0, 1}, .dilation = {2, 1, 1}, .groups = 2});
     }},
    {"conv_transpose2d", "of volumes",
     [] {
       return leaves({{2, 4, 2, 2, 3}, {4, 1, 2, 2, 2}, {2}});
     },
     [](const Inputs& in) {
       return conv_transpose3d(in[0], in[1], in[2],
                               {.stride = 2, .padding = {1, 0, 1}, .output_padding = {1, 0, 0}, .groups = 2});
     }},
    {"max_pool2d", "of volumes",
     [] {
       return leaves({{2, 4, 5, 4}});
     },
     [](const Inputs& in) {
       return max_pool3d(in[0], {2, 3, 2}, {.stride = {1, 2, 2}, .padding = {1, 1, 0}});
     }},
    {"avg_pool2d", "of volumes, divisor given",
     [] {
       return leaves({{1, 2, 4, 4, 4}});
     },
     [](const Inputs& in) {
       return avg_pool3d(in[0], {2, 3, 2}, {.stride = 2, .padding = {0, 1, 1}, .divisor_override = 5});
     }},
    {"adaptive_avg_pool2d", "of volumes",
     [] {
       return leaves({{2, 3, 5, 4}});
     },
     [](const Inputs& in) {
       return adaptive_avg_pool3d(in[0], {2, 3, 1});
     }},
    {"norm", "cdist",
     [] {
       return leaves({{2, 3, 4}, {2, 4}});
     },
     [](const Inputs& in) { return cdist(in[0], in[1], 1.5); }},
    {"sort", "quantiles",
     [] {
       return leaves({{4, 5}});
     },
     [](const Inputs& in) {
       return quantile(in[0], {0.1, 0.5, 0.95}, 1);
     }},
};

}  // namespace qing::test
