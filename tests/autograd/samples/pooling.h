#pragma once

#include <qing/autograd/ops/pooling.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kPoolingSamples[] = {
    {"max_pool2d", "overlapping, padded, dilated",
     [] {
       return leaves({{2, 2, 6, 7}});
     },
     [](const Inputs& in) {
       return max_pool2d(in[0], {2, 3}, {.stride = {1, 2}, .padding = {1, 1}, .dilation = {2, 1}, .ceil_mode = true});
     }},
    {"max_pool2d", "one dimension",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return max_pool1d(in[0], 3, {.stride = 2, .padding = 1}); }},
    {"avg_pool2d", "padded, rounded up",
     [] {
       return leaves({{2, 2, 5, 6}});
     },
     [](const Inputs& in) {
       return avg_pool2d(in[0], 3, {.stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false});
     }},
    {"avg_pool2d", "divisor given",
     [] {
       return leaves({{2, 4, 4}});
     },
     [](const Inputs& in) { return avg_pool2d(in[0], 2, {.divisor_override = 3}); }},
    {"avg_pool2d", "one dimension, padding counted",
     [] {
       return leaves({{2, 3, 7}});
     },
     [](const Inputs& in) { return avg_pool1d(in[0], 3, {.stride = 2, .padding = 1}); }},
    {"adaptive_avg_pool2d", "to fewer and to more",
     [] {
       return leaves({{2, 2, 5, 3}});
     },
     [](const Inputs& in) {
       return adaptive_avg_pool2d(in[0], {2, 4});
     }},
    {"adaptive_avg_pool2d", "one dimension, of all",
     [] {
       return leaves({{2, 3, 7}});
     },
     [](const Inputs& in) { return adaptive_avg_pool1d(in[0], 1); }},
    {"adaptive_max_pool2d", "overlapping",
     [] {
       return leaves({{2, 2, 5, 7}});
     },
     [](const Inputs& in) {
       return adaptive_max_pool2d(in[0], {3, 2});
     }},
    {"interpolate", "larger and smaller",
     [] {
       return leaves({{2, 2, 3, 5}});
     },
     [](const Inputs& in) {
       return interpolate(in[0], {7, 4});
     }},
};

}  // namespace qing::test
