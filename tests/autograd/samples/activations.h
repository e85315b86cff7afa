#pragma once

#include <qing/autograd/ops/activations.h>
#include <qing/autograd/ops/elementwise.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kActivationSamples[] = {
    {"sigmoid", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return sigmoid(in[0]); }},
    {"log_sigmoid", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return log_sigmoid(in[0]); }},
    {"logit", "inside", [] { return Inputs{uniform({9}, 0.1, 0.9)}; }, [](const Inputs& in) { return logit(in[0]); }},
    {"logit", "clamped", [] { return Inputs{uniform({9}, 0, 1)}; }, [](const Inputs& in) { return logit(in[0], 0.2); }},
    {"relu", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return relu(in[0]); }},
    {"relu", "transposed",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return relu(in[0].transpose(0, 1)); }},
    {"hardtanh", "relu6",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return relu6(scale(in[0], 5)); }},
    {"leaky_relu", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return leaky_relu(in[0]); }},
    {"leaky_relu", "slope 0.3", [] { return leaves({{7}}); }, [](const Inputs& in) { return leaky_relu(in[0], 0.3); }},
    {"elu", "alpha 1.5",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return elu(in[0], 1.5); }},
    {"selu", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return selu(in[0]); }},
    {"celu", "alpha 1.5",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return celu(in[0], 1.5); }},
    {"gelu", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return gelu(in[0]); }},
    {"gelu", "tanh",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return gelu(in[0], Approximation::tanh); }},
    {"gelu", "of a sum used twice",
     [] {
       return leaves({{6}, {6}});
     },
     [](const Inputs& in) { return gelu(in[0] + in[1]) * (in[0] + in[1]); }},
    {"silu", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return silu(in[0]); }},
    {"mish", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return mish(in[0]); }},
    {"softplus", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return softplus(in[0]); }},
    {"softplus", "beta 2, threshold 1",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return softplus(in[0], 2, 1); }},
    {"softsign", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return softsign(in[0]); }},
    {"tanhshrink", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return tanhshrink(in[0]); }},
    {"hardtanh", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return hardtanh(in[0]); }},
    {"hardtanh", "own bounds",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return hardtanh(in[0], -0.3, 0.8); }},
    {"hardsigmoid", "all pieces",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return hardsigmoid(scale(in[0], 3)); }},
    {"hardswish", "all pieces",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return hardswish(scale(in[0], 3)); }},
    {"softshrink", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return softshrink(in[0]); }},
    {"hardshrink", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return hardshrink(in[0]); }},
    {"threshold", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return threshold(in[0], 0.1, -4); }},
    {"mul", "glu",
     [] {
       return leaves({{3, 6}});
     },
     [](const Inputs& in) { return glu(in[0]); }},
    {"mul", "swiglu of the first dimension",
     [] {
       return leaves({{4, 3}});
     },
     [](const Inputs& in) { return swiglu(in[0], 0); }},
};

}  // namespace qing::test
