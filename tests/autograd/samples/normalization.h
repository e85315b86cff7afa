#pragma once

#include <qing/autograd/ops/normalization.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kNormalizationSamples[] = {
    {"softmax", "rows", [] { return leaves({{3, 5}}); }, [](const Inputs& in) { return softmax(in[0]); }},
    {"layer_norm", "rows", [] { return leaves({{5, 11}, {11}, {11}}); },
     [](const Inputs& in) { return layer_norm(in[0], in[1], in[2], 1e-5); }},
    {"dropout_add_layer_norm", "with dropout", [] { return leaves({{5, 7}, {5, 7}, {7}, {7}}); },
     [](const Inputs& in) {
       Generator rng(3);
       return dropout_add_layer_norm(in[0], in[1], in[2], in[3], 1e-5, 0.3, &rng);
     }},
    {"dropout_add_layer_norm", "without, residual the input itself", [] { return leaves({{5, 7}, {7}, {7}}); },
     [](const Inputs& in) { return dropout_add_layer_norm(in[0], in[0], in[1], in[2], 1e-5, 0, nullptr); }},
};

}  // namespace qing::test
