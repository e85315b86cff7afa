#include <qing/nn/layers/projected_attention.h>

#include <fmt/format.h>

#include <array>
#include <span>
#include <tuple>
#include <vector>

#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/views.h>
#include <qing/nn/layers/check.h>
#include <qing/nn/layers/positional.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/bf16_attention.h>

namespace qing::nn {
namespace {

// The base class has checked the heads.
int64_t checked_depth(const char* name, int64_t width, const AttentionLayerOptions& options, int64_t depth) {
  check_at_least(name, "width", width, 1);
  check_at_least(name, "depth", depth, 0);
  if (depth == 0 && width % options.heads != 0) {
    throw ValueError(fmt::format("{}: width {} is not a multiple of num_heads {}", name, width, options.heads));
  }
  if (depth == 0) depth = width / options.heads;
  if (options.rotary && depth % 2 != 0) {
    throw ValueError(fmt::format("{}: {} columns a head; rotary positions need an even number", name, depth));
  }
  return depth;
}

// Layers without a bias cannot be one product.
Tensor side_by_side(const Tensor& x, std::span<const Linear* const> layers) {
  if (layers.front()->bias().defined()) return forward_joined(x, layers);
  std::vector<Tensor> products;
  for (const Linear* layer : layers) products.push_back(layer->forward(x));
  return cat(products, -1);
}

}  // namespace

ProjectedAttention::ProjectedAttention(const char* name, int64_t width, const AttentionLayerOptions& options,
                                       Generator& rng, LinearOptions linear, int64_t depth)
    : RaggedAttention(name, options),
      depth_(checked_depth(name, width, options, depth)),
      query_(width, heads() * depth_, rng, linear),
      key_(width, key_value_heads() * depth_, rng, linear),
      value_(width, key_value_heads() * depth_, rng, linear),
      output_(heads() * depth_, width, rng, linear) {}

void ProjectedAttention::visit(Visitor& visitor) {
  visitor.module("query", query_);
  visitor.module("key", key_);
  visitor.module("value", value_);
  visitor.module("output", output_);
}

Tensor ProjectedAttention::keys_values(const Tensor& x) const { return side_by_side(x, std::array{&key_, &value_}); }

Tensor ProjectedAttention::queries_keys_values(const Tensor& x) const {
  return side_by_side(x, std::array{&query_, &key_, &value_});
}

Tensor ProjectedAttention::mixed_in_bf16(const Tensor& query, const Offsets& query_offsets, const Tensor& memory,
                                         const Offsets& memory_offsets) const {
  if (!has_bf16_attention(depth_) || !output_.takes_bf16()) return {};
  const bool itself = query.same_as(memory);
  const Tensor q = itself ? forward_joined_bf16(query, std::array{&query_, &key_, &value_})
                          : forward_joined_bf16(query, std::array{&query_});
  const Tensor kv = itself || !q.defined() ? q : forward_joined_bf16(memory, std::array{&key_, &value_});
  if (!kv.defined()) return {};
  const int64_t width = heads() * depth_;
  Tensor y = Tensor::empty({query.size(0), width}, DType::bf16);
  const BFloat16* const keys = kv.data<BFloat16>() + (itself ? width : 0);
  bf16_attention({q.data<BFloat16>(), q.size(1)}, {keys, kv.size(1)}, {keys + width, kv.size(1)}, query_offsets,
                 memory_offsets, heads(), depth_, {y.data<BFloat16>(), width});
  return y;
}

Tensor ProjectedAttention::forward_dense(const Tensor& x, const Tensor& positions, KeyValueCache* cache) const {
  if (x.dim() != 3) throw ShapeError("ProjectedAttention: x is [batch, time, width], got " + to_string(x.shape()));
  const auto apart = [&](const Tensor& rows, int64_t count) {
    return reshape(rows, {x.size(0), x.size(1), count, depth_});
  };
  const auto heads_first = [](const Tensor& split) { return transpose(split, 1, 2); };
  const Tensor q = heads_first(rotated(apart(query_.forward(x), heads()), positions));
  Tensor k = heads_first(rotated(apart(key_.forward(x), key_value_heads()), positions));
  Tensor v = heads_first(apart(value_.forward(x), key_value_heads()));
  const int64_t first = cache != nullptr ? cache->length() : 0;
  if (cache != nullptr) std::tie(k, v) = cache->append(k, v);
  const Tensor mask = has_alibi() ? alibi_bias(heads(), x.size(1), k.size(2), first, x.dtype()) : Tensor();
  const Tensor mixed =
      scaled_dot_product_attention(q, k, v, {.attn_mask = mask, .is_causal = true, .first_query = first});
  return output_.forward(reshape(transpose(mixed, 1, 2), {x.size(0), x.size(1), heads() * depth_}));
}

}  // namespace qing::nn
