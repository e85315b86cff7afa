// Positions: encodings that are added to embeddings, and biases that are added to the scores of attention. (Rotary
// positions are an operation: <qing/autograd/ops/rotary.h>.)
#pragma once

#include <cstdint>

#include <qing/nn/module.h>

namespace qing::nn {

/// [count, width]: row t is sin(t·θᵢ) at 2i and cos(t·θᵢ) at 2i + 1 with θᵢ = 10000^(−2i/width) (Vaswani et al. 2017);
/// the last column of an odd width is a sine. Computed in double. ValueError for a negative count or a width below 1.
Tensor sinusoidal_positions(int64_t count, int64_t width, DType dtype = DType::f32);

/// x plus the sinusoidal row of each position. It has no parameters. forward is const: it may be called from many
/// threads.
class SinusoidalPositionalEncoding : public UnaryModule {
 public:
  /// ValueError unless d_model ≥ 1 and max_len ≥ 0.
  explicit SinusoidalPositionalEncoding(int64_t d_model, int64_t max_len = 5000);
  using UnaryModule::forward;
  using UnaryModule::operator();
  /// x [..., d_model] at positions (i32 or i64) that broadcast to x's leading shape, e.g. those of a ragged batch.
  /// ShapeError for another width or positions that do not broadcast, IndexError for a position outside the table.
  Tensor forward(const Tensor& x, const Tensor& positions) const;
  Tensor operator()(const Tensor& x, const Tensor& positions) const { return forward(x, positions); }

 private:
  /// x [..., time, d_model] at positions 0, 1, ... ShapeError for more than max_len.
  Tensor compute(const Tensor& x, Generator* rng) const override;
  Tensor table_;  // f64; not a buffer, because Module::to would round it
};

struct LearnedPositionalEncodingOptions {
  double stddev = 0.02;  ///< weights are normal(0, stddev)
};

/// x plus a trained row for each position: weight [max_len, d_model]. Arguments and errors are those of
/// SinusoidalPositionalEncoding.
class LearnedPositionalEncoding : public UnaryModule {
 public:
  LearnedPositionalEncoding(int64_t d_model, int64_t max_len, Generator& rng,
                            LearnedPositionalEncodingOptions options = {});
  void visit(Visitor& visitor) override;
  using UnaryModule::forward;
  using UnaryModule::operator();
  Tensor forward(const Tensor& x, const Tensor& positions) const;
  Tensor operator()(const Tensor& x, const Tensor& positions) const { return forward(x, positions); }
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
/// The same as relative_bias of ragged_attention(): [heads, 2·reach − 1]. ValueError unless heads and reach are
/// positive.
Tensor alibi_relative_bias(int64_t heads, int64_t reach, DType dtype = DType::f32);

struct RelativePositionOptions {
  int64_t buckets = 32;       ///< half of them for keys before the query, half for keys behind it
  double max_distance = 128;  ///< larger distances share the last bucket
  double stddev = 0.02;       ///< weights are normal(0, stddev)
  /// Without it all buckets are for keys before the query, and keys behind it share the bucket of the query itself.
  bool both_directions = true;
};
/// The bucket of a key at position `key` for a query at position `query`, with relative = key − query: the first half
/// of a direction's buckets are distances of their own, the rest grows with the logarithm of the distance (Raffel et
/// al. 2020), computed in f32 as `transformers` does. ValueError unless buckets is a multiple of 4, or of 2 for one
/// direction, and max_distance exceeds the distances with buckets of their own.
int64_t relative_position_bucket(int64_t relative, const RelativePositionOptions& options = {});

/// A trained bias of attention's scores for each head and bucket of relative positions: weight [entries, heads]. Layers
/// share one. forward is const: it may be called from many threads.
class RelativePositionBias : public Module {
 public:
  /// ValueError for options out of their range, heads < 1, or fewer entries than buckets; entries beyond the buckets
  /// are not used. entries 0: as many as buckets.
  RelativePositionBias(int64_t heads, Generator& rng, RelativePositionOptions options = {}, int64_t entries = 0);
  void visit(Visitor& visitor) override;
  /// relative_bias of ragged_attention() for sequences of up to `reach` tokens: [heads, 2·reach − 1]. ValueError unless
  /// reach ≥ 1.
  Tensor forward(int64_t reach) const;
  Tensor operator()(int64_t reach) const { return forward(reach); }

 private:
  RelativePositionOptions options_;
  Tensor weight_;
};

}  // namespace qing::nn
