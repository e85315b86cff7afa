#pragma once

#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/elementwise.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline Tensor compound(Tensor x, const Tensor& y) {
  x += y;
  x *= y;
  x -= 1;
  x /= 2;
  return x;
}

inline constexpr OpSample kElementwiseSamples[] = {
    {"add", "same shape",
     [] {
       return leaves({{3, 4}, {3, 4}});
     },
     [](const Inputs& in) { return add(in[0], in[1]); }},
    {"add", "row and column",
     [] {
       return leaves({{4}, {3, 1}});
     },
     [](const Inputs& in) { return add(in[0], in[1]); }},
    {"add", "a tensor with itself", [] { return leaves({{3}}); }, [](const Inputs& in) { return add(in[0], in[0]); }},
    {"add", "a number", [] { return leaves({{3}}); }, [](const Inputs& in) { return 1.5 + in[0] + 2; }},
    {"sub", "broadcast left",
     [] {
       return leaves({{1, 4}, {2, 3, 4}});
     },
     [](const Inputs& in) { return sub(in[0], in[1]); }},
    {"sub", "from a number", [] { return leaves({{3}}); }, [](const Inputs& in) { return 1.5 - (in[0] - 2); }},
    {"mul", "broadcast right",
     [] {
       return leaves({{2, 3, 4}, {3, 1}});
     },
     [](const Inputs& in) { return mul(in[0], in[1]); }},
    {"mul", "a tensor with itself", [] { return leaves({{5}}); }, [](const Inputs& in) { return mul(in[0], in[0]); }},
    {"mul", "a number", [] { return leaves({{7}}); }, [](const Inputs& in) { return 2 * scale(in[0], -2.5); }},
    {"mul", "a transposed and a strided operand",
     [] {
       return leaves({{4, 3}, {3, 8}});
     },
     [](const Inputs& in) { return mul(in[0].transpose(0, 1), in[1].slice(1, 0, 8, 2)); }},
    {"div", "broadcast",
     [] {
       return Inputs{leaf({3, 4}), positive({4}, 1)};
     },
     [](const Inputs& in) { return div(in[0], in[1]); }},
    {"div", "a number by a tensor by a number", [] { return Inputs{positive({5})}; },
     [](const Inputs& in) { return 2 / in[0] / 3; }},
    {"neg", "vector", [] { return leaves({{7}}); }, [](const Inputs& in) { return neg(in[0]); }},
    {"neg", "transposed",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return neg(in[0].transpose(0, 1)); }},
    {"add", "compound assignment",
     [] {
       return leaves({{3}, {3}});
     },
     [](const Inputs& in) { return compound(in[0], in[1]); }},
    {"addcmul", "broadcast",
     [] {
       return leaves({{3, 4}, {4}, {3, 1}});
     },
     [](const Inputs& in) { return addcmul(in[0], in[1], in[2], -0.7); }},
    {"addcdiv", "broadcast",
     [] {
       return Inputs{leaf({4}), leaf({3, 4}, 1), positive({3, 1}, 2)};
     },
     [](const Inputs& in) { return addcdiv(in[0], in[1], in[2], 0.7); }},
    {"lerp", "weights on both sides of a half",
     [] {
       return Inputs{leaf({3, 4}), leaf({4}, 1), uniform({3, 1}, 0, 1)};
     },
     [](const Inputs& in) { return lerp(in[0], in[1], in[2]); }},
    {"lerp", "a number",
     [] {
       return leaves({{5}, {5}});
     },
     [](const Inputs& in) { return lerp(in[0], in[1], 0.3); }},
    {"dropout", "p 0.4",
     [] {
       return leaves({{5, 7}});
     },
     [](const Inputs& in) {
       Generator rng(3);
       return dropout(in[0], 0.4, rng);
     }},
};

}  // namespace qing::test
