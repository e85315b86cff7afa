#pragma once

#include <qing/autograd/ops/recurrent.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kRecurrentSamples[] = {
    {"lstm_cell", "both results",
     [] {
       return leaves({{3, 20}, {3, 20}, {3, 5}});
     },
     [](const Inputs& in) { return lstm_cell(in[0], in[1], in[2]); }},
    {"lstm_cell", "the same gates twice, the state alone",
     [] {
       return leaves({{9, 8}, {9, 2}});
     },
     [](const Inputs& in) { return lstm_cell(in[0], in[0], in[1]).select(0, 1); }},
    {"gru_cell", "a batch",
     [] {
       return leaves({{3, 15}, {3, 15}, {3, 5}});
     },
     [](const Inputs& in) { return gru_cell(in[0], in[1], in[2]); }},
    {"merge_rows", "two steps, out of order",
     [] {
       return leaves({{3, 2}, {1, 2}});
     },
     [](const Inputs& in) {
       return merge_rows({in[0], in[1]}, {ids({2, 0, 3}, {3}), ids({1}, {1})}, 4);
     }},
};

}  // namespace qing::test
