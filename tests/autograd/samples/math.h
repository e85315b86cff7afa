#pragma once

#include <qing/autograd/ops/math.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kMathSamples[] = {
    {"abs", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return abs(in[0]); }},
    {"sign", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return sign(in[0]); }},
    {"square", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return square(in[0]); }},
    {"sqrt", "positive", [] { return Inputs{positive({9})}; }, [](const Inputs& in) { return sqrt(in[0]); }},
    {"rsqrt", "positive", [] { return Inputs{positive({9})}; }, [](const Inputs& in) { return rsqrt(in[0]); }},
    {"reciprocal", "positive", [] { return Inputs{positive({9})}; },
     [](const Inputs& in) { return reciprocal(in[0]); }},
    {"exp", "more than a vector register",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return exp(in[0]); }},
    {"exp", "a strided view",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return exp(in[0].transpose(0, 1).slice(0, 0, 4, 2)); }},
    {"exp2", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return exp2(in[0]); }},
    {"expm1", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return expm1(in[0]); }},
    {"log", "positive", [] { return Inputs{positive({9})}; }, [](const Inputs& in) { return log(in[0]); }},
    {"log2", "positive", [] { return Inputs{positive({9})}; }, [](const Inputs& in) { return log2(in[0]); }},
    {"log10", "positive", [] { return Inputs{positive({9})}; }, [](const Inputs& in) { return log10(in[0]); }},
    {"log1p", "above -1", [] { return Inputs{uniform({9}, -0.9, 0.9)}; },
     [](const Inputs& in) { return log1p(in[0]); }},
    {"sin", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return sin(in[0]); }},
    {"cos", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return cos(in[0]); }},
    {"tan", "below pi/2", [] { return Inputs{uniform({9}, -0.9, 0.9)}; }, [](const Inputs& in) { return tan(in[0]); }},
    {"asin", "inside", [] { return Inputs{uniform({9}, -0.9, 0.9)}; }, [](const Inputs& in) { return asin(in[0]); }},
    {"acos", "inside", [] { return Inputs{uniform({9}, -0.9, 0.9)}; }, [](const Inputs& in) { return acos(in[0]); }},
    {"atan", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return atan(in[0]); }},
    {"sinh", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return sinh(in[0]); }},
    {"cosh", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return cosh(in[0]); }},
    {"tanh", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return tanh(in[0]); }},
    {"asinh", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return asinh(in[0]); }},
    {"acosh", "above 1", [] { return Inputs{uniform({9}, 1.5, 3)}; }, [](const Inputs& in) { return acosh(in[0]); }},
    {"atanh", "inside", [] { return Inputs{uniform({9}, -0.9, 0.9)}; }, [](const Inputs& in) { return atanh(in[0]); }},
    {"erf", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return erf(in[0]); }},
    {"ndtr", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return ndtr(in[0]); }},
    {"erfc", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return erfc(in[0]); }},
    {"sinc", "away from 0", [] { return Inputs{uniform({9}, 0.2, 3)}; }, [](const Inputs& in) { return sinc(in[0]); }},
    {"floor", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return floor(in[0]); }},
    {"ceil", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return ceil(in[0]); }},
    {"round", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return round(in[0]); }},
    {"trunc", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return trunc(in[0]); }},
    {"frac", "matrix",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return frac(in[0]); }},
};

}  // namespace qing::test
