// Attention with a linear layer each for queries, keys, values and outputs.
#pragma once

#include <cstdint>

#include <qing/nn/layers/linear.h>
#include <qing/nn/layers/multihead_attention.h>
#include <qing/nn/layers/ragged_attention.h>

namespace qing::nn {

/// Parameters: query [heads·d, width], key and value [key_value_heads·d, width], output [width, heads·d], each with a
/// bias unless `linear` says otherwise. A derived class may give other names. Errors and thread
/// safety are RaggedAttention's.
class ProjectedAttention : public RaggedAttention {
 public:
  /// `name` stands in errors. `depth` is d; 0: width / heads. ValueError as RaggedAttention's, and unless width ≥ 1 is
  /// a multiple of the heads where there is no depth, and d is even for rotary positions.
  ProjectedAttention(const char* name, int64_t width, const AttentionLayerOptions& options, Generator& rng,
                     LinearOptions linear = {}, int64_t depth = 0);
  void visit(Visitor& visitor) override;

  const Linear& output() const override { return output_; }
  using RaggedAttention::forward;
  /// Causal self-attention over dense rows x [batch, new, width], which stand at `positions` [new]. With a cache, the
  /// rows also see those before them, which it holds (ValueError when it has no room). Without dropout.
  Tensor forward_dense(const Tensor& x, const Tensor& positions, KeyValueCache* cache = nullptr) const;

 protected:
  Tensor queries(const Tensor& x) const override { return query_.forward(x); }
  Tensor keys_values(const Tensor& x) const override;
  Tensor queries_keys_values(const Tensor& x) const override;
  /// With all layers packed in bf16, without gradients, for heads that has_bf16_attention() names.
  Tensor mixed_in_bf16(const Tensor& query, const Offsets& query_offsets, const Tensor& memory,
                       const Offsets& memory_offsets) const override;

 private:
  int64_t depth_;

 protected:
  Linear query_, key_, value_, output_;
};

}  // namespace qing::nn
