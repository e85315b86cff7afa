#pragma once

#include <qing/autograd/ops/losses.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kLossSamples[] = {
    {"cross_entropy", "three classes, a row ignored", [] { return leaves({{4, 3}}); },
     [](const Inputs& in) { return cross_entropy(in[0], ids({2, 0, -100, 1}, {4})); }},
};

}  // namespace qing::test
