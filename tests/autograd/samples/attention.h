#pragma once

#include <qing/autograd/ops/attention.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline const Offsets kRaggedOffsets = {0, 3, 4, 4, 9};

inline constexpr OpSample kAttentionSamples[] = {
    {"attention", "ragged, one sequence empty", [] { return leaves({{9, 6}, {9, 6}, {9, 6}}); },
     [](const Inputs& in) { return attention(in[0], in[1], in[2], kRaggedOffsets, 2); }},
    {"attention", "with dropout", [] { return leaves({{9, 6}, {9, 6}, {9, 6}}); },
     [](const Inputs& in) {
       Generator rng(3);
       return attention(in[0], in[1], in[2], kRaggedOffsets, 3, 0.3, &rng);
     }},
    {"attention", "fewer queries than keys", [] { return leaves({{4, 6}, {9, 6}, {9, 6}}); },
     [](const Inputs& in) {
       Generator rng(3);
       return attention(in[0], in[1], in[2], {0, 1, 2, 2, 4}, kRaggedOffsets, 2, 0.3, &rng);
     }},
    {"attention", "query, key and value the same", [] { return leaves({{9, 6}}); },
     [](const Inputs& in) { return attention(in[0], in[0], in[0], kRaggedOffsets, 2); }},
};

}  // namespace qing::test
