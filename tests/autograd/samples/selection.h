#pragma once

#include <qing/autograd/ops/selection.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

/// true, false, true, ...
inline Tensor pattern(Shape shape) {
  Tensor mask = Tensor::empty(std::move(shape), DType::boolean);
  bool next = false;
  for (bool& value : mask.span<bool>()) value = next = !next;
  return mask;
}

inline constexpr OpSample kSelectionSamples[] = {
    {"where", "all three broadcast",
     [] {
       return leaves({{2, 1, 4}, {2, 1, 1}});
     },
     [](const Inputs& in) {
       return where(pattern({3, 1}), in[0], in[1]);
     }},
    {"where", "a number",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return where(pattern({4}), in[0], 2); }},
    {"where", "masked_fill",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) {
       return masked_fill(in[0], pattern({3, 1}), -1);
     }},
    {"where", "masked_fill with a tensor",
     [] {
       return leaves({{3, 4}, {}});
     },
     [](const Inputs& in) { return masked_fill(in[0], pattern({4}), in[1]); }},
    {"maximum", "broadcast",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return maximum(in[0], in[1]); }},
    {"minimum", "broadcast",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return minimum(in[0], in[1]); }},
    {"fmax", "broadcast",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return fmax(in[0], in[1]); }},
    {"fmin", "broadcast",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return fmin(in[0], in[1]); }},
    {"clamp", "numbers",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return clamp(in[0], -0.5, 0.8); }},
    {"clamp", "below",
     [] {
       return leaves({{3, 7}});
     },
     [](const Inputs& in) { return clamp_max(in[0], 0.1); }},
    {"clamp", "tensors, crossing bounds",
     [] {
       return leaves({{3, 4}, {4}, {3, 1}});
     },
     [](const Inputs& in) { return clamp(in[0], in[1], in[2]); }},
    {"clamp", "one tensor",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return clamp_min(in[0], in[1]); }},
    {"clamp", "one tensor from above",
     [] {
       return leaves({{4}, {3, 4}});
     },
     [](const Inputs& in) { return clamp_max(in[0], in[1]); }},
    {"nan_to_num", "finite", [] { return leaves({{7}}); }, [](const Inputs& in) { return nan_to_num(in[0]); }},
    {"heaviside", "away from 0",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return heaviside(in[0], in[1]); }},
};

}  // namespace qing::test
