#pragma once

#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/rearrange.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kJoiningSamples[] = {
    {"cat", "last dimension, one tensor twice",
     [] {
       return leaves({{2, 3}, {2, 1}});
     },
     [](const Inputs& in) {
       return cat({in[0], in[1], in[0]}, -1);
     }},
    {"cat", "an empty one and one of shape [0]",
     [] {
       return leaves({{2, 3}, {0, 3}, {0}});
     },
     [](const Inputs& in) {
       return cat({in[2], in[0], in[1]});
     }},
    {"cat", "stack in the middle",
     [] {
       return leaves({{2, 3}, {2, 3}});
     },
     [](const Inputs& in) {
       return stack({in[0], in[1]}, 1);
     }},
    {"cat", "hstack of vstack",
     [] {
       return leaves({{3}, {2, 3}, {3, 2}});
     },
     [](const Inputs& in) {
       return hstack({vstack({in[0], in[1]}), in[2]});
     }},
    {"slice", "split by sizes",
     [] {
       return leaves({{6, 2}});
     },
     [](const Inputs& in) {
       const auto parts = split(in[0], std::vector<int64_t>{1, 3, 2});
       return cat({parts[2], parts[1], parts[1]});
     }},
    {"slice", "the last chunk",
     [] {
       return leaves({{2, 7}});
     },
     [](const Inputs& in) { return chunk(in[0], 3, 1).back(); }},
    {"select", "unbind",
     [] {
       return leaves({{3, 2, 2}});
     },
     [](const Inputs& in) {
       return stack({unbind(in[0], 1)[1], unbind(in[0], 1)[0]}, 0);
     }},
    {"expand", "repeat with a new dimension",
     [] {
       return leaves({{2, 3}});
     },
     [](const Inputs& in) {
       return repeat(in[0], {2, 1, 2});
     }},
    {"expand", "tile",
     [] {
       return leaves({{2, 3}});
     },
     [](const Inputs& in) { return tile(in[0], {3}); }},
    {"index_select", "repeat_interleave",
     [] {
       return leaves({{2, 3}});
     },
     [](const Inputs& in) {
       return repeat_interleave(repeat_interleave(in[0], 2, 1), ids({2, 0}, {2}), 0);
     }},
    {"index_select", "flip",
     [] {
       return leaves({{2, 3, 2}});
     },
     [](const Inputs& in) {
       return flip(in[0], {1, -1});
     }},
    {"index_select", "roll",
     [] {
       return leaves({{2, 5}});
     },
     [](const Inputs& in) {
       return roll(in[0], {-2, 1}, {1, 0});
     }},
    {"tril", "of a batch",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) { return tril(in[0], 1); }},
    {"triu", "of a matrix",
     [] {
       return leaves({{4, 3}});
     },
     [](const Inputs& in) { return triu(in[0], -1); }},
    {"pad", "constant",
     [] {
       return leaves({{2, 3}});
     },
     [](const Inputs& in) {
       return pad(in[0], {1, 2, 0, 1}, PadMode::constant, 3);
     }},
    {"pad", "crops at one end",
     [] {
       return leaves({{2, 5}});
     },
     [](const Inputs& in) {
       return pad(in[0], {-2, 1});
     }},
    {"index_select", "pad by reflection",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) {
       return pad(in[0], {3, 1, 0, 2}, PadMode::reflect);
     }},
    {"index_select", "pad by replication",
     [] {
       return leaves({{2, 3}});
     },
     [](const Inputs& in) {
       return pad(in[0], {2, 4}, PadMode::replicate);
     }},
    {"index_select", "pad around",
     [] {
       return leaves({{2, 3}});
     },
     [](const Inputs& in) {
       return pad(in[0], {2, 3}, PadMode::circular);
     }},
};

}  // namespace qing::test
