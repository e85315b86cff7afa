#pragma once

#include <limits>

#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/scans.h>
#include <qing/autograd/ops/softmax.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

inline constexpr OpSample kReductionSamples[] = {
    {"sum", "all",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return sum(in[0]); }},
    {"sum", "middle dimension",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) { return sum(in[0], {1}); }},
    {"sum", "first and last, kept",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) {
       return sum(in[0], {0, 2}, true);
     }},
    {"sum", "no dimensions", [] { return leaves({{}}); }, [](const Inputs& in) { return sum(in[0], {-1}); }},
    {"mean", "all",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return mean(in[0]); }},
    {"mean", "last dimension",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) { return mean(in[0], {-1}); }},
    {"var", "all",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return var(in[0]); }},
    {"var", "first dimension, biased",
     [] {
       return leaves({{5, 3}});
     },
     [](const Inputs& in) { return var(in[0], {0}, 0); }},
    {"var", "two dimensions of a transposed tensor, kept",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) {
       return var(in[0].transpose(0, 2), {0, -1}, 1, true);
     }},
    {"std", "last dimension",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return std(in[0], {1}); }},
    {"amax", "last dimension",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return amax(in[0], {1}); }},
    {"amax", "all",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return max(in[0]); }},
    {"amin", "first and last, kept",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) {
       return amin(in[0], {0, 2}, true);
     }},
    {"mul", "prod along the middle",
     [] {
       return leaves({{2, 5, 3}});
     },
     [](const Inputs& in) { return prod(in[0], 1); }},
    {"mul", "prod with one and with two zeros",
     [] {
       Inputs in = leaves({{2, 4}});
       for (const int64_t at : {1, 4, 6}) in[0].data<double>()[at] = 0;
       return in;
     },
     [](const Inputs& in) { return prod(in[0], -1, true); }},
    {"logsumexp", "last dimension",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return logsumexp(in[0], {1}); }},
    {"logsumexp", "two dimensions, kept",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) {
       return logsumexp(in[0], {0, 2}, true);
     }},
    {"norm", "2, all",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return norm(in[0]); }},
    {"norm", "2 of rows, kept",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return norm(in[0], 2, {1}, true); }},
    {"norm", "1",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return norm(in[0], 1, {0}); }},
    {"norm", "3",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return norm(in[0], 3, {1}); }},
    {"norm", "1.5 of two dimensions",
     [] {
       return leaves({{2, 3, 2}});
     },
     [](const Inputs& in) {
       return norm(in[0], 1.5, {0, 2});
     }},
    {"norm", "infinity",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return norm(in[0], kInfinity, {1}); }},
    {"norm", "minus infinity",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return norm(in[0], -kInfinity, {1}); }},
    {"cumsum", "middle",
     [] {
       return leaves({{2, 4, 3}});
     },
     [](const Inputs& in) { return cumsum(in[0], 1); }},
    {"cumprod", "last",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return cumprod(in[0], -1); }},
    {"cumprod", "with zeros, first",
     [] {
       Inputs in = leaves({{5, 2}});
       for (const int64_t at : {2, 4, 8}) in[0].data<double>()[at] = 0;
       return in;
     },
     [](const Inputs& in) { return cumprod(in[0], 0); }},
    {"cumprod", "with a zero, middle",
     [] {
       Inputs in = leaves({{2, 4, 2}});
       for (const int64_t at : {2, 9}) in[0].data<double>()[at] = 0;
       return in;
     },
     [](const Inputs& in) { return cumprod(in[0], 1); }},
    {"softmax", "rows",
     [] {
       return leaves({{3, 5}});
     },
     [](const Inputs& in) { return softmax(in[0]); }},
    {"softmax", "middle",
     [] {
       return leaves({{2, 4, 3}});
     },
     [](const Inputs& in) { return softmax(in[0], 1); }},
    {"softmax", "softmin of a transposed matrix",
     [] {
       return leaves({{4, 3}});
     },
     [](const Inputs& in) { return softmin(in[0].transpose(0, 1), -1); }},
    {"log_softmax", "rows",
     [] {
       return leaves({{3, 5}});
     },
     [](const Inputs& in) { return log_softmax(in[0]); }},
    {"log_softmax", "first",
     [] {
       return leaves({{4, 3}});
     },
     [](const Inputs& in) { return log_softmax(in[0], 0); }},
};

}  // namespace qing::test
