#pragma once

#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/views.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

/// The value after `write` to a tensor of f64 that has no history.
template <class Write> Tensor into_plain(Shape shape, Write write) {
  Tensor y = Tensor::full(std::move(shape), 0.5, DType::f64);
  write(y);
  return y;
}

/// The value after `write` to 2x.
template <class Write> Tensor into_twice(const Tensor& x, Write write) {
  Tensor y = x * 2.0;
  write(y);
  return y;
}

inline constexpr OpSample kInPlaceSamples[] = {
    {"add", "add_ of a broadcast row, times a number",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return into_twice(in[0], [&](Tensor& y) { y.add_(in[1], -1.5); }); }},
    {"add", "add_ of itself", [] { return leaves({{3}}); },
     [](const Inputs& in) { return into_twice(in[0], [](Tensor& y) { y.add_(y, 3); }); }},
    {"sub", "sub_ into a column of a plain tensor", [] { return leaves({{3}}); },
     [](const Inputs& in) {
       return into_plain({3, 2}, [&](Tensor& y) { y.select(1, 0).sub_(in[0]); });
     }},
    {"mul", "mul_ by a leaf and by a number",
     [] {
       return leaves({{2, 3}, {3}});
     },
     [](const Inputs& in) { return into_twice(in[0], [&](Tensor& y) { y.mul_(in[1]).mul_(3); }); }},
    {"mul", "mul_ by itself and by a part of itself",
     [] {
       return leaves({{2, 3}});
     },
     [](const Inputs& in) { return into_twice(in[0], [](Tensor& y) { y.mul_(y).mul_(y[0]); }); }},
    {"mul", "mul_ of a transposed view",
     [] {
       return leaves({{2, 3}, {3, 2}});
     },
     [](const Inputs& in) { return into_twice(in[0], [&](Tensor& y) { y.transpose(0, 1).mul_(in[1]); }); }},
    {"div", "div_ by a leaf",
     [] {
       return Inputs{leaf({2, 3}), positive({2, 3}, 1)};
     },
     [](const Inputs& in) { return into_twice(in[0], [&](Tensor& y) { y.div_(in[1]); }); }},
    {"clamp", "clamp_ of every second element", [] { return leaves({{7}}); },
     [](const Inputs& in) { return into_twice(in[0], [](Tensor& y) { y.slice(0, 0, 7, 2).clamp_(-0.5, 0.75); }); }},
    {"copy_from", "a transposed row into a column of 2x",
     [] {
       return leaves({{3, 4}, {1, 3}});
     },
     [](const Inputs& in) {
       return into_twice(in[0], [&](Tensor& y) { y.slice(1, 2, 3).copy_from(in[1].transpose(0, 1)); });
     }},
    {"copy_from", "a broadcast row into everything",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return into_twice(in[0], [&](Tensor& y) { y.copy_from(in[1]); }); }},
    {"fill", "of everything, then a sum with the input", [] { return leaves({{3}}); },
     [](const Inputs& in) {
       return into_twice(in[0], [&](Tensor& y) {
         y.zero_();
         y.add_(in[0]);
       });
     }},
    {"masked_fill", "with a broadcast mask",
     [] {
       return leaves({{2, 3}});
     },
     [](const Inputs& in) {
       return into_twice(in[0], [](Tensor& y) { y.masked_fill_(Tensor::from<bool>({true, false, true}, {3}), 4); });
     }},
    {"view_write", "a view of a view, and a use of another view after it",
     [] {
       return leaves({{3, 4}, {2}});
     },
     [](const Inputs& in) {
       return into_twice(in[0], [&](Tensor& y) {
         const Tensor corner = y.slice(0, 1, 3), row = y[1];
         corner.select(1, 3).mul_(in[1]);
         y.select(1, 0).add_(row[{Slice(1, 4)}]);
       });
     }},
    {"view_write", "a diagonal, and one element",
     [] {
       return leaves({{3, 3}});
     },
     [](const Inputs& in) {
       return into_twice(in[0], [](Tensor& y) {
         y.diagonal().mul_(-3);
         y.set({0, 2}, 9);
       });
     }},
    {"view_write", "a base that is not contiguous",
     [] {
       return leaves({{2, 3}, {2}});
     },
     [](const Inputs& in) {
       Tensor y = Tensor::zeros({3, 2}, DType::f64).transpose(0, 1).alias();
       y.copy_from(in[0]);
       y.select(1, 1).mul_(in[1]);
       return y.transpose(0, 1) * 1.0;
     }},
};

}  // namespace qing::test
