#pragma once

#include <qing/autograd/ops/indexing.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kIndexingSamples[] = {
    {"index_rows", "with a repetition", [] { return leaves({{4, 3}}); },
     [](const Inputs& in) { return index_rows(in[0], ids({2, 0, 2}, {3})); }},
    {"embedding", "with repetitions", [] { return leaves({{5, 3}}); },
     [](const Inputs& in) { return embedding(in[0], ids({4, 1, 1, 0}, {2, 2})); }},
    {"embedding", "a padding row that nothing looks at", [] { return leaves({{5, 3}}); },
     [](const Inputs& in) { return embedding(in[0], ids({4, 1, 1, 0}, {2, 2}), 2); }},
};

}  // namespace qing::test
