#pragma once

#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/elementwise.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kElementwiseSamples[] = {
    {"add", "same shape", [] { return leaves({{3, 4}, {3, 4}}); }, [](const Inputs& in) { return add(in[0], in[1]); }},
    {"add", "row and column", [] { return leaves({{4}, {3, 1}}); }, [](const Inputs& in) { return add(in[0], in[1]); }},
    {"add", "a tensor with itself", [] { return leaves({{3}}); }, [](const Inputs& in) { return add(in[0], in[0]); }},
    {"sub", "broadcast left", [] { return leaves({{1, 4}, {2, 3, 4}}); },
     [](const Inputs& in) { return sub(in[0], in[1]); }},
    {"mul", "broadcast right", [] { return leaves({{2, 3, 4}, {3, 1}}); },
     [](const Inputs& in) { return mul(in[0], in[1]); }},
    {"mul", "a tensor with itself", [] { return leaves({{5}}); }, [](const Inputs& in) { return mul(in[0], in[0]); }},
    {"div", "broadcast", [] { return Inputs{leaf({3, 4}), positive({4}, 1)}; },
     [](const Inputs& in) { return div(in[0], in[1]); }},
    {"scale", "by −2.5", [] { return leaves({{7}}); }, [](const Inputs& in) { return scale(in[0], -2.5); }},
    {"neg", "vector", [] { return leaves({{7}}); }, [](const Inputs& in) { return neg(in[0]); }},
    {"exp", "more than a vector register", [] { return leaves({{3, 7}}); },
     [](const Inputs& in) { return exp(in[0]); }},
    {"log", "positive", [] { return Inputs{positive({9})}; }, [](const Inputs& in) { return log(in[0]); }},
    {"sqrt", "positive", [] { return Inputs{positive({9})}; }, [](const Inputs& in) { return sqrt(in[0]); }},
    {"tanh", "matrix", [] { return leaves({{3, 7}}); }, [](const Inputs& in) { return tanh(in[0]); }},
    {"sigmoid", "matrix", [] { return leaves({{3, 7}}); }, [](const Inputs& in) { return sigmoid(in[0]); }},
    {"relu", "matrix", [] { return leaves({{3, 7}}); }, [](const Inputs& in) { return relu(in[0]); }},
    {"gelu", "matrix", [] { return leaves({{3, 7}}); }, [](const Inputs& in) { return gelu(in[0]); }},
    {"gelu", "of a sum used twice", [] { return leaves({{6}, {6}}); },
     [](const Inputs& in) {
       const Tensor s = in[0] + in[1];
       return gelu(s) * s;
     }},
    {"dropout", "p 0.4", [] { return leaves({{5, 7}}); },
     [](const Inputs& in) {
       Generator rng(3);
       return dropout(in[0], 0.4, rng);
     }},
};

}  // namespace qing::test
