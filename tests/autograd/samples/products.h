#pragma once

#include <qing/autograd/ops/products.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kProductSamples[] = {
    {"matmul", "rectangular", [] { return leaves({{3, 5}, {5, 4}}); },
     [](const Inputs& in) { return matmul(in[0], in[1]); }},
    {"matmul", "square with itself", [] { return leaves({{3, 3}}); },
     [](const Inputs& in) { return matmul(in[0], in[0]); }},
    {"linear", "three dimensions", [] { return leaves({{2, 3, 5}, {4, 5}, {4}}); },
     [](const Inputs& in) { return linear(in[0], in[1], in[2]); }},
    {"linear", "without bias", [] { return leaves({{3, 5}, {4, 5}}); },
     [](const Inputs& in) { return linear(in[0], in[1]); }},
    {"linear_gelu", "matrix", [] { return leaves({{3, 5}, {4, 5}, {4}}); },
     [](const Inputs& in) { return linear_gelu(in[0], in[1], in[2]); }},
};

}  // namespace qing::test
