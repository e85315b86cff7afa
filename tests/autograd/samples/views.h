#pragma once

#include <qing/autograd/ops/rearrange.h>
#include <qing/autograd/ops/views.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kViewSamples[] = {
    {"reshape", "to columns",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) {
       return reshape(in[0], {2, -1});
     }},
    {"reshape", "to the same shape", [] { return leaves({{3}}); },
     [](const Inputs& in) { return reshape(in[0], {3}); }},
    {"reshape", "squeeze and unsqueeze",
     [] {
       return leaves({{3, 1, 2}});
     },
     [](const Inputs& in) { return in[0].squeeze(1).unsqueeze(-1); }},
    {"transpose", "first and last",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) { return transpose(in[0], 0, -1); }},
    {"permute", "a cycle",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) {
       return permute(in[0], {2, 0, 1});
     }},
    {"expand", "a new and a stretched dimension",
     [] {
       return leaves({{3, 1}});
     },
     [](const Inputs& in) {
       return expand(in[0], {2, 3, 4});
     }},
    {"slice", "every second row",
     [] {
       return leaves({{7, 2}});
     },
     [](const Inputs& in) { return slice(in[0], 0, 1, 6, 2); }},
    {"select", "a column",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return select(in[0], -1, 2); }},
    {"view", "index",
     [] {
       return leaves({{3, 4, 2}});
     },
     [](const Inputs& in) {
       return in[0][{Ellipsis, Slice(1, 4, 2), NewAxis, 0}];
     }},
    {"view", "movedim",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) { return in[0].movedim(0, -1); }},
    {"view", "narrow, then flatten",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) {
       return in[0].narrow(1, 1, 2).flatten(1).unflatten(1, {4, 2}).squeeze();
     }},
    {"view", "diagonal",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return in[0].diagonal(1); }},
    {"view", "functions of members' names",
     [] {
       return leaves({{2, 3, 1, 4}});
     },
     [](const Inputs& in) {
       const Tensor moved = movedim(swapdims(squeeze(in[0]), 0, 1), -1, 0);
       return broadcast_to(narrow(flatten(unflatten(moved, 0, {2, -1}), 1, 2), 1, 1, 4), {3, 2, 4, 2});
     }},
    {"view", "diag of a matrix",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return diag(in[0], -1); }},
    {"diag_embed", "diag of a vector", [] { return leaves({{3}}); }, [](const Inputs& in) { return diag(in[0], 2); }},
    {"diag_embed", "of vectors, dimensions in front",
     [] {
       return leaves({{2, 3}});
     },
     [](const Inputs& in) { return diag_embed(in[0], -1, 1, 0); }},
    {"view", "windows that overlap",
     [] {
       return leaves({{2, 7}});
     },
     [](const Inputs& in) { return in[0].unfold(1, 3, 2); }},
    {"clone", "a transposed matrix",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return in[0].transpose(0, 1).contiguous(); }},
    {"to", "f32 and back, in steps that f32 resolves", [] { return Inputs{uniform({4}, -1e-3, 1e-3)}; },
     [](const Inputs& in) { return in[0].to(DType::f32).to(DType::f64); }, 1.0},
};

}  // namespace qing::test
