// Positional encodings. Attention does not see the order of tokens without them. (Rotary positions are an operation:
// <qing/autograd/ops/rotary.h>.)
#pragma once

#include <cstdint>

#include <qing/nn/module.h>

namespace qing::nn {

/// [count, width]: row t is sin(t·θᵢ) at 2i and cos(t·θᵢ) at 2i + 1 with θᵢ = 10000^(−2i/width) (Vaswani et al. 2017);
/// the last column of an odd width is a sine. Computed in double. ValueError for a negative count or a width below 1.
Tensor sinusoidal_positions(int64_t count, int64_t width, DType dtype = DType::f32);

/// x plus the sinusoidal row of each position. It has no parameters.
class SinusoidalPositionalEncoding : public UnaryModule {
 public:
  explicit SinusoidalPositionalEncoding(int64_t d_model, int64_t max_len = 5000);
  using UnaryModule::forward;
  /// x [..., d_model] at positions (i32 or i64) that broadcast to x's leading shape, e.g. those of a ragged batch.
  /// ShapeError, IndexError.
  Tensor forward(const Tensor& x, const Tensor& positions) const;

 private:
  /// x [..., time, d_model] at positions 0, 1, ... ShapeError for more than max_len.
  Tensor compute(const Tensor& x, Generator* rng) const override;
  Tensor table_;  // f64; not a buffer, because Module::to would round it
};

struct LearnedPositionalEncodingOptions {
  double stddev = 0.02;  ///< weights are normal(0, stddev)
};

/// x plus a trained row for each position: weight [max_len, d_model]. Arguments as above.
class LearnedPositionalEncoding : public UnaryModule {
 public:
  LearnedPositionalEncoding(int64_t d_model, int64_t max_len, Generator& rng,
                            LearnedPositionalEncodingOptions options = {});
  void visit(Visitor& visitor) override;
  using UnaryModule::forward;
  Tensor forward(const Tensor& x, const Tensor& positions) const;
  const Tensor& weight() const { return weight_; }

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  Tensor weight_;
};

/// The slopes of "Attention with Linear Biases" (Press, Smith & Lewis 2022), [heads]: 2^(−8h/n) for head h = 1, ..., n
/// if n is a power of two; else those of the power of two below, then every second one of twice that. ValueError below
/// 1.
Tensor alibi_slopes(int64_t heads, DType dtype = DType::f32);
/// −slope·|first_query + i − j| for query i and key j: [heads, queries, keys], to be used as attn_mask. Causal
/// attention also needs is_causal. ValueError for a negative size.
Tensor alibi_bias(int64_t heads, int64_t queries, int64_t keys, int64_t first_query = 0, DType dtype = DType::f32);

}  // namespace qing::nn
