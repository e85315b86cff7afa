#pragma once

#include <qing/autograd/ops/reductions.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kReductionSamples[] = {
    {"sum", "all", [] { return leaves({{3, 4}}); }, [](const Inputs& in) { return sum(in[0]); }},
    {"sum", "middle dimension", [] { return leaves({{2, 3, 4}}); }, [](const Inputs& in) { return sum(in[0], {1}); }},
    {"sum", "first and last, kept", [] { return leaves({{2, 3, 4}}); },
     [](const Inputs& in) { return sum(in[0], {0, 2}, true); }},
    {"mean", "all", [] { return leaves({{3, 4}}); }, [](const Inputs& in) { return mean(in[0]); }},
    {"mean", "last dimension", [] { return leaves({{2, 3, 4}}); }, [](const Inputs& in) { return mean(in[0], {-1}); }},
};

}  // namespace qing::test
