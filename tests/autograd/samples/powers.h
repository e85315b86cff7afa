#pragma once

#include <qing/autograd/ops/powers.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kPowerSamples[] = {
    {"pow", "square", [] { return leaves({{7}}); }, [](const Inputs& in) { return pow(in[0], 2); }},
    {"pow", "cube", [] { return leaves({{7}}); }, [](const Inputs& in) { return pow(in[0], 3); }},
    {"pow", "to the 0", [] { return leaves({{7}}); }, [](const Inputs& in) { return pow(in[0], 0); }},
    {"pow", "root", [] { return Inputs{positive({9})}; }, [](const Inputs& in) { return pow(in[0], 0.5); }},
    {"pow", "to -1.7", [] { return Inputs{positive({9})}; }, [](const Inputs& in) { return pow(in[0], -1.7); }},
    {"pow", "both, broadcast",
     [] {
       return Inputs{positive({3, 4}), leaf({4})};
     },
     [](const Inputs& in) { return pow(in[0], in[1]); }},
    {"pow", "of a number", [] { return leaves({{7}}); }, [](const Inputs& in) { return pow(2.5, in[0]); }},
    {"fmod", "broadcast",
     [] {
       return Inputs{leaf({3, 4}, 0, 0, 5), positive({4}, 1)};
     },
     [](const Inputs& in) { return fmod(in[0], in[1]); }},
    {"remainder", "negative divisors",
     [] {
       return Inputs{leaf({3, 4}, 0, 0, 5), uniform({4}, -2, -1)};
     },
     [](const Inputs& in) { return remainder(in[0], in[1]); }},
    {"floor_divide", "broadcast",
     [] {
       return Inputs{leaf({3, 4}, 0, 0, 5), positive({4}, 1)};
     },
     [](const Inputs& in) { return floor_divide(in[0], in[1]); }},
    {"atan2", "all quadrants",
     [] {
       return leaves({{3, 4}, {3, 4}});
     },
     [](const Inputs& in) { return atan2(in[0], in[1]); }},
    {"hypot", "broadcast",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return hypot(in[0], in[1]); }},
    {"logaddexp", "broadcast",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return logaddexp(in[0], in[1]); }},
    {"copysign", "broadcast",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return copysign(in[0], in[1]); }},
    {"xlogy", "broadcast",
     [] {
       return Inputs{leaf({3, 4}), positive({4}, 1)};
     },
     [](const Inputs& in) { return xlogy(in[0], in[1]); }},
};

}  // namespace qing::test
