// Multi-head attention over dense and ragged batches.
#pragma once

#include <cstdint>
#include <utility>

#include <qing/nn/layers/linear.h>
#include <qing/nn/layers/ragged_attention.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// The masks of attention, with PyTorch's meaning of boolean masks: true hides a key.
struct AttentionMasks {
  Tensor key_padding_mask = {};  ///< [batch, keys], bool, or of the input's dtype to be added to the scores
  Tensor attn_mask = {};         ///< the same, [queries, keys] or broadcastable to [batch, heads, queries, keys]
  bool is_causal = false;        ///< query i sees keys 0 to i
};

/// Keys and values of the previous positions, so that decoding computes each of them once. For inference only: writes
/// are outside of any graph.
class KeyValueCache {
 public:
  /// Room for `capacity` positions of [batch, heads, capacity, head_dim]; ValueError for a negative size.
  KeyValueCache(int64_t batch, int64_t heads, int64_t capacity, int64_t head_dim, DType dtype = DType::f32);
  // A copy would share the storage, and appending to one would overwrite the other.
  KeyValueCache(const KeyValueCache&) = delete;
  KeyValueCache& operator=(const KeyValueCache&) = delete;
  KeyValueCache(KeyValueCache&&) = default;
  KeyValueCache& operator=(KeyValueCache&&) = default;
  /// Returns an independent copy with the same positions, to continue in two ways.
  KeyValueCache clone() const;
  /// Appends k and v [batch, heads, new, head_dim]. Returns all positions as views. ValueError when there is no room,
  /// AutogradError when k or v were recorded.
  std::pair<Tensor, Tensor> append(const Tensor& k, const Tensor& v);
  int64_t length() const { return length_; }
  int64_t capacity() const { return keys_.size(2); }

 private:
  KeyValueCache(Tensor keys, Tensor values, int64_t length)
      : keys_(std::move(keys)), values_(std::move(values)), length_(length) {}
  Tensor keys_, values_;
  int64_t length_ = 0;
};

struct MultiheadAttentionOptions {
  double dropout = 0;  ///< dropout of attention weights in training mode
  bool bias = true;
};

/// Vaswani et al. 2017. Parameters: in_proj_weight [3·embed, embed] and in_proj_bias (queries, keys, values), out_proj.
/// In training mode `rng` feeds the dropout (ValueError if null then). ShapeError for inputs that do not fit.
class MultiheadAttention : public RaggedAttention {
 public:
  /// ValueError unless embed_dim is a multiple of num_heads.
  MultiheadAttention(int64_t embed_dim, int64_t num_heads, Generator& rng, MultiheadAttentionOptions options = {});
  void visit(Visitor& visitor) override;

  /// query [batch, queries, embed], key and value [batch, keys, embed] → [batch, queries, embed]. (PyTorch's with
  /// batch_first.) When all three are the same tensor, one product projects them.
  Tensor forward(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMasks& masks = {},
                 Generator* rng = nullptr) const;
  Tensor operator()(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMasks& masks = {},
                    Generator* rng = nullptr) const {
    return forward(query, key, value, masks, rng);
  }
  /// Self-attention of new positions x [batch, new, embed] to themselves and to the earlier positions in the cache.
  Tensor forward_cached(const Tensor& x, KeyValueCache& cache) const;
  KeyValueCache make_cache(int64_t batch, int64_t capacity) const;
  const Linear& output() const override { return out_proj_; }
  using RaggedAttention::forward;  ///< Ragged self-attention and cross-attention.
  using RaggedAttention::operator();

 private:
  Tensor queries(const Tensor& x) const override { return project(x, 0, 1); }
  Tensor keys_values(const Tensor& x) const override { return project(x, 1, 2); }
  Tensor queries_keys_values(const Tensor& x) const override { return project(x, 0, 3); }
  Tensor project(const Tensor& x, int64_t first, int64_t count) const;
  Tensor split_heads(const Tensor& x) const;
  Tensor join_heads(const Tensor& heads) const;

  int64_t embed_dim_;
  Tensor in_proj_weight_, in_proj_bias_;
  Linear out_proj_;
};

}  // namespace qing::nn
