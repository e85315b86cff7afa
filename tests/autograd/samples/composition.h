#pragma once

#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/gradient_checkpoint.h>

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
};

}  // namespace qing::test
