// Rotary position embeddings.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

/// The two of a head's d columns that form pair i.
enum class RotaryLayout {
  half_split,   ///< i and i + d/2, as in GPT-NeoX and Hugging Face's Llama
  interleaved,  ///< 2i and 2i + 1, as in Su et al. and GPT-J
};
struct RotaryOptions {
  double base = 10000;
  RotaryLayout layout = RotaryLayout::half_split;
};
/// Rotates pair i of every head by the angle position·base^(−2i/d) (Su et al., "RoFormer", 2021). Products of queries
/// and keys then depend on the distance between their positions. x is [..., heads, d] with d even. positions (i32 or
/// i64) broadcasts to x's leading dimensions, e.g. [tokens] for a ragged batch or [time] for [batch, time, heads, d].
/// Angles are computed in double. ShapeError, DTypeError; ValueError unless base > 0. Cost: d/2 sines and cosines per
/// token, 3d multiplications per head.
Tensor rotary_embedding(const Tensor& x, const Tensor& positions, const RotaryOptions& options = {});

}  // namespace qing
