#pragma once

#include <qing/autograd/ops/convolution.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kConvolutionSamples[] = {
    {"conv2d", "stride, padding and dilation",
     [] {
       return leaves({{2, 2, 5, 6}, {3, 2, 2, 3}, {3}});
     },
     [](const Inputs& in) {
       return conv2d(in[0], in[1], in[2], {.stride = {2, 1}, .padding = {1, 2}, .dilation = {2, 1}});
     }},
    {"conv2d", "groups, stride 2, no bias",
     [] {
       return leaves({{2, 4, 5, 5}, {6, 2, 3, 2}});
     },
     [](const Inputs& in) { return conv2d(in[0], in[1], {}, {.stride = 2, .padding = 1, .groups = 2}); }},
    {"conv2d", "one pixel",
     [] {
       return leaves({{2, 3, 2, 3}, {2, 3, 1, 1}, {2}});
     },
     [](const Inputs& in) { return conv2d(in[0], in[1], in[2]); }},
    {"conv2d", "one dimension, same padding of an even kernel",
     [] {
       return leaves({{3, 7}, {2, 3, 4}, {2}});
     },
     [](const Inputs& in) { return conv1d(in[0], in[1], in[2], {.same_padding = true}); }},
    {"conv2d", "depthwise, two filters a channel",
     [] {
       return leaves({{1, 3, 4, 4}, {6, 1, 3, 3}});
     },
     [](const Inputs& in) { return conv2d(in[0], in[1], {}, {.padding = 1, .groups = 3}); }},
    {"conv_transpose2d", "stride, padding and output padding",
     [] {
       return leaves({{2, 3, 2, 3}, {3, 2, 3, 2}, {2}});
     },
     [](const Inputs& in) {
       return conv_transpose2d(in[0], in[1], in[2], {.stride = 2, .padding = {1, 0}, .output_padding = {1, 0}});
     }},
    {"conv_transpose2d", "one dimension, groups and dilation",
     [] {
       return leaves({{2, 4, 3}, {4, 1, 2}});
     },
     [](const Inputs& in) { return conv_transpose1d(in[0], in[1], {}, {.groups = 2, .dilation = 2}); }},
};

}  // namespace qing::test
