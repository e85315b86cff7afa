// Rotary position embeddings.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

/// Which two of a head's d columns turn together.
enum class RotaryLayout {
  half_split,   ///< i and i + d/2, as GPT-NeoX and Hugging Face's Llama
  interleaved,  ///< 2i and 2i + 1, as Su et al. and GPT-J
};
struct RotaryOptions {
  double base = 10000;
  RotaryLayout layout = RotaryLayout::half_split;
};
/// Turns pair i of every head by the angle position·base^(−2i/d) (Su et al., "RoFormer", 2021), so that products of
/// queries and keys depend on the distance between them: x is [..., heads, d] with d even, positions (i32 or i64)
/// broadcasts to x's leading dimensions, e.g. [tokens] for a ragged batch or [time] for [batch, time, heads, d]. Angles
/// are computed in double. ShapeError, DTypeError. Cost: d/2 sines and cosines a token, 3d multiplications a head.
Tensor rotary_embedding(const Tensor& x, const Tensor& positions, const RotaryOptions& options = {});

}  // namespace qing
