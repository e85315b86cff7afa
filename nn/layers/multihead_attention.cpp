#include <qing/nn/layers/multihead_attention.h>

#include <fmt/format.h>

#include <array>
#include <limits>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/forgotten_layers.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {
namespace {

constexpr const char* kLayerName = "MultiheadAttention";

// Converts a mask that hides into a mask that is added: −∞ where true.
Tensor to_added(const Tensor& mask, DType dtype) {
  if (mask.dtype() != DType::boolean) return mask;
  Tensor added = Tensor::zeros(mask.shape(), DType::f64);
  const Tensor dense = mask.contiguous();
  double* out = added.data<double>();
  for (const bool hidden : dense.span<bool>()) *out++ = hidden ? -std::numeric_limits<double>::infinity() : 0;
  return added.to(dtype);
}

Tensor joined(const AttentionMasks& masks, const Tensor& key) {
  Tensor padding, mask;
  if (masks.key_padding_mask.defined()) {
    if (masks.key_padding_mask.shape() != Shape{key.size(0), key.size(1)}) {
      throw ShapeError(fmt::format("{}: key_padding_mask {}; needs [{}, {}]", kLayerName,
                                   to_string(masks.key_padding_mask.shape()), key.size(0), key.size(1)));
    }
    padding = reshape(to_added(masks.key_padding_mask, key.dtype()), {key.size(0), 1, 1, key.size(1)});
  }
  if (masks.attn_mask.defined()) mask = to_added(masks.attn_mask, key.dtype());
  if (!padding.defined()) return mask;
  return mask.defined() ? padding + mask : padding;
}

// The base class has checked num_heads.
int64_t checked_width(int64_t embed_dim, int64_t num_heads) {
  check_at_least(kLayerName, "embed_dim", embed_dim, 1);
  if (embed_dim % num_heads != 0) {
    throw ValueError(
        fmt::format("{}: embed_dim {} is not a multiple of num_heads {}", kLayerName, embed_dim, num_heads));
  }
  return embed_dim;
}

}  // namespace

KeyValueCache::KeyValueCache(int64_t batch, int64_t heads, int64_t capacity, int64_t head_dim, DType dtype)
    : keys_(Tensor::zeros({batch, heads, capacity, head_dim}, dtype)),
      values_(Tensor::zeros({batch, heads, capacity, head_dim}, dtype)) {}

KeyValueCache KeyValueCache::clone() const { return {keys_.clone(), values_.clone(), length_}; }

std::pair<Tensor, Tensor> KeyValueCache::append(const Tensor& k, const Tensor& v) {
  if (requires_grad(k) || requires_grad(v)) {
    throw AutogradError("KeyValueCache: keys and values were recorded, and a cache keeps no graph; use NoGradGuard");
  }
  Shape needed = keys_.shape();
  needed[2] = k.dim() == 4 ? k.size(2) : -1;
  if (k.shape() != needed || v.shape() != needed) {
    throw ShapeError(fmt::format("KeyValueCache: k {} and v {}; needs [{}, {}, new, {}]", to_string(k.shape()),
                                 to_string(v.shape()), needed[0], needed[1], needed[3]));
  }
  const int64_t end = length_ + needed[2];
  if (end > capacity()) {
    throw ValueError(fmt::format("KeyValueCache: {} positions, with room for {}", end, capacity()));
  }
  keys_.slice(2, length_, end).copy_from(k);
  values_.slice(2, length_, end).copy_from(v);
  length_ = end;
  return {keys_.slice(2, 0, end), values_.slice(2, 0, end)};
}

MultiheadAttention::MultiheadAttention(int64_t embed_dim, int64_t num_heads, Generator& rng,
                                       MultiheadAttentionOptions options)
    : RaggedAttention(kLayerName, {.heads = num_heads, .dropout = options.dropout}),
      embed_dim_(checked_width(embed_dim, num_heads)),
      in_proj_weight_(Tensor::empty({3 * embed_dim, embed_dim})),
      out_proj_(embed_dim, embed_dim, rng, {.bias = options.bias}) {
  init::xavier_uniform(in_proj_weight_, rng);
  if (!options.bias) return;
  in_proj_bias_ = Tensor::zeros({3 * embed_dim});
  Tensor out_bias = out_proj_.bias();
  init::zeros(out_bias);
}

void MultiheadAttention::visit(Visitor& visitor) {
  visitor.parameter("in_proj_weight", in_proj_weight_);
  visitor.parameter("in_proj_bias", in_proj_bias_);
  visitor.module("out_proj", out_proj_);
}

// Projects x by `count` of the projections of queries, keys and values, starting with `first`.
Tensor MultiheadAttention::project(const Tensor& x, int64_t first, int64_t count) const {
  if (x.dim() < 2 || x.size(-1) != embed_dim_) {
    throw ShapeError(fmt::format("{}: an input of {}; needs [..., {}]", kLayerName, to_string(x.shape()), embed_dim_));
  }
  note_use(*this, in_proj_weight_);
  if (count == 3) return linear(x, in_proj_weight_, in_proj_bias_);
  const int64_t begin = first * embed_dim_, end = (first + count) * embed_dim_;
  return linear(x, slice(in_proj_weight_, 0, begin, end),
                in_proj_bias_.defined() ? slice(in_proj_bias_, 0, begin, end) : Tensor());
}

// [batch, time, embed] to [batch, heads, time, embed/heads], and back.
Tensor MultiheadAttention::split_heads(const Tensor& x) const {
  return transpose(reshape(x, {x.size(0), x.size(1), heads(), embed_dim_ / heads()}), 1, 2);
}
Tensor MultiheadAttention::join_heads(const Tensor& heads) const {
  return reshape(transpose(heads, 1, 2), {heads.size(0), heads.size(2), embed_dim_});
}

Tensor MultiheadAttention::forward(const Tensor& query, const Tensor& key, const Tensor& value,
                                   const AttentionMasks& masks, Generator* rng) const {
  if (query.dim() != 3 || key.dim() != 3 || value.dim() != 3) {
    throw ShapeError(fmt::format("{}: query {}, key {}, value {}; needs [batch, time, {}]", kLayerName,
                                 to_string(query.shape()), to_string(key.shape()), to_string(value.shape()),
                                 embed_dim_));
  }
  std::array<Tensor, 3> parts;
  if (query.same_as(key) && key.same_as(value)) {
    const Tensor all = project(query, 0, 3);
    for (int64_t i = 0; i < 3; ++i) parts[i] = slice(all, 2, i * embed_dim_, (i + 1) * embed_dim_);
  } else {
    parts = {project(query, 0, 1), project(key, 1, 1), project(value, 2, 1)};
  }
  const Tensor heads = scaled_dot_product_attention(
      split_heads(parts[0]), split_heads(parts[1]), split_heads(parts[2]),
      {.attn_mask = joined(masks, key), .dropout_p = dropout(), .rng = dropout_rng(rng), .is_causal = masks.is_causal});
  return out_proj_.forward(join_heads(heads));
}

KeyValueCache MultiheadAttention::make_cache(int64_t batch, int64_t capacity) const {
  return KeyValueCache(batch, heads(), capacity, embed_dim_ / heads(), in_proj_weight_.dtype());
}

Tensor MultiheadAttention::forward_cached(const Tensor& x, KeyValueCache& cache) const {
  const Tensor all = project(x, 0, 3);
  const auto part = [&](int64_t i) { return split_heads(slice(all, 2, i * embed_dim_, (i + 1) * embed_dim_)); };
  const int64_t first = cache.length();
  const auto [keys, values] = cache.append(part(1), part(2));
  return out_proj_.forward(
      join_heads(scaled_dot_product_attention(part(0), keys, values, {.is_causal = true, .first_query = first})));
}

}  // namespace qing::nn
