#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <type_traits>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/tensor/threads.h>

#include "nn/normal_tensor.h"
#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;
using test::normal;

void expect_near(const Tensor& a, const Tensor& b, double bound) {
  ASSERT_EQ(to_string(a.shape()), to_string(b.shape()));
  const Tensor left = detach(a).contiguous(), right = detach(b).contiguous();
  for (int64_t i = 0; i < a.numel(); ++i) ASSERT_NEAR(left.data<float>()[i], right.data<float>()[i], bound) << i;
}

class Attention : public ::testing::Test {
 protected:
  Generator rng_{8};
  TransformerOptions options_{.dim_feedforward = 12, .dropout = 0.2};
};

TEST_F(Attention, HasTorchsParameterNames) {
  TransformerDecoderLayer layer(8, 2, rng_, options_);
  std::vector<std::string> names;
  for (const auto& [name, parameter] : layer.named_parameters()) names.push_back(name);
  const std::vector<std::string> expected = {"self_attn.in_proj_weight",
                                             "self_attn.in_proj_bias",
                                             "self_attn.out_proj.weight",
                                             "self_attn.out_proj.bias",
                                             "multihead_attn.in_proj_weight",
                                             "multihead_attn.in_proj_bias",
                                             "multihead_attn.out_proj.weight",
                                             "multihead_attn.out_proj.bias",
                                             "linear1.weight",
                                             "linear1.bias",
                                             "linear2.weight",
                                             "linear2.bias",
                                             "norm1.weight",
                                             "norm1.bias",
                                             "norm2.weight",
                                             "norm2.bias",
                                             "norm3.weight",
                                             "norm3.bias"};
  EXPECT_EQ(names, expected);
  TransformerEncoder encoder(8, 2, 2, rng_, options_, true);
  EXPECT_NO_THROW(encoder.get_parameter("layers.1.self_attn.in_proj_weight"));
  EXPECT_NO_THROW(encoder.get_parameter("norm.weight"));
}

TEST_F(Attention, RaggedEqualsDenseSequenceBySequence) {
  const TransformerEncoder encoder(8, 2, 2, rng_, options_);
  const TransformerDecoder decoder(8, 2, 2, rng_, options_);
  const Offsets offsets = {0, 3, 4, 9}, memory_offsets = {0, 2, 8, 9};
  const Tensor x = normal({9, 8}, rng_), memory = normal({9, 8}, rng_);
  for (const bool causal : {false, true}) {
    const Tensor together = encoder.forward(x, offsets, causal);
    for (size_t s = 0; s < 3; ++s) {
      const Tensor own = x.slice(0, offsets[s], offsets[s + 1]).unsqueeze(0);
      expect_near(together.slice(0, offsets[s], offsets[s + 1]),
                  encoder.forward(own, AttentionMasks{.is_causal = causal}).squeeze(0), 2e-6);
    }
  }
  const Tensor together = decoder.forward(x, offsets, memory, memory_offsets);
  for (size_t s = 0; s < 3; ++s) {
    const Tensor own = x.slice(0, offsets[s], offsets[s + 1]).unsqueeze(0);
    const Tensor seen = memory.slice(0, memory_offsets[s], memory_offsets[s + 1]).unsqueeze(0);
    expect_near(together.slice(0, offsets[s], offsets[s + 1]),
                decoder.forward(own, seen, {.is_causal = true}).squeeze(0), 2e-6);
  }
}

TEST_F(Attention, PaddingIsIgnored) {
  const TransformerEncoderLayer layer(8, 2, rng_, options_);
  Tensor x = normal({1, 5, 8}, rng_);
  const bool hidden[] = {false, false, false, true, true};
  const AttentionMasks masks{.key_padding_mask = Tensor::from<bool>(hidden, {1, 5})};
  const Tensor before = layer.forward(x, masks).slice(1, 0, 3);
  x.slice(1, 3, 5).fill(100);
  expect_near(layer.forward(x, masks).slice(1, 0, 3), before, 0);
  expect_near(layer.forward(x.slice(1, 0, 3)), before, 1e-6);
}

TEST_F(Attention, CausalResultsDoNotDependOnWhatFollows) {
  const TransformerEncoderLayer layer(8, 2, rng_, options_);
  Tensor x = normal({2, 6, 8}, rng_);
  const Tensor before = layer.forward(x, AttentionMasks{.is_causal = true}).slice(1, 0, 4).clone();
  x.slice(1, 4, 6).fill(-3);
  expect_near(layer.forward(x, AttentionMasks{.is_causal = true}).slice(1, 0, 4), before, 0);
}

TEST_F(Attention, TheCacheEqualsFullRecomputationStepByStep) {
  const TransformerEncoderLayer layer(16, 4, rng_, options_);
  const Tensor x = normal({2, 11, 16}, rng_);
  const Tensor full = layer.forward(x, AttentionMasks{.is_causal = true});
  KeyValueCache cache = layer.self_attn().make_cache(2, 11);
  expect_near(layer.forward_cached(x.slice(1, 0, 3), cache), full.slice(1, 0, 3), 1e-6);  // a prompt
  for (int64_t t = 3; t < 11; ++t) {
    expect_near(layer.forward_cached(x.slice(1, t, t + 1), cache), full.slice(1, t, t + 1), 1e-6);
    EXPECT_EQ(cache.length(), t + 1);
  }
  EXPECT_NE(message_of<ValueError>([&] { layer.forward_cached(x.slice(1, 0, 1), cache); }).find("12 positions"),
            std::string::npos);
}

static_assert(!std::is_copy_constructible_v<KeyValueCache> && !std::is_copy_assignable_v<KeyValueCache>);

TEST_F(Attention, AClonedCacheIsIndependent) {
  const MultiheadAttention layer(8, 2, rng_);
  const Tensor x = normal({1, 4, 8}, rng_), y = normal({1, 4, 8}, rng_);
  KeyValueCache cache = layer.make_cache(1, 4), expected = layer.make_cache(1, 4);
  layer.forward_cached(x.slice(1, 0, 2), cache);
  layer.forward_cached(x.slice(1, 0, 2), expected);
  KeyValueCache other = cache.clone();
  EXPECT_EQ(other.length(), 2);
  for (int64_t t = 2; t < 4; ++t) {
    expect_near(layer.forward_cached(x.slice(1, t, t + 1), cache), layer.forward_cached(x.slice(1, t, t + 1), expected),
                0);
    layer.forward_cached(y.slice(1, t, t + 1),
                         other);  // would overwrite the position just written if memory were shared
  }
}

TEST_F(Attention, TheCacheRefusesRecordedTensorsAndMismatches) {
  MultiheadAttention layer(8, 2, rng_);
  KeyValueCache cache = layer.make_cache(1, 4);
  EXPECT_THROW(layer.forward_cached(normal({2, 1, 8}, rng_), cache), ShapeError);
  layer.unfreeze();
  EXPECT_THROW(layer.forward_cached(normal({1, 1, 8}, rng_), cache), AutogradError);
  const NoGradGuard guard;
  EXPECT_EQ(layer.forward_cached(normal({1, 1, 8}, rng_), cache).shape(), (Shape{1, 1, 8}));
}

TEST_F(Attention, GroupedQueriesEqualRepeatedKeys) {
  const Tensor q = normal({2, 6, 3, 4}, rng_), k = normal({2, 2, 5, 4}, rng_), v = normal({2, 2, 5, 4}, rng_);
  const auto repeated = [](const Tensor& x) { return x.unsqueeze(2).expand({2, 2, 3, 5, 4}).reshape({2, 6, 5, 4}); };
  expect_near(scaled_dot_product_attention(q, k, v), scaled_dot_product_attention(q, repeated(k), repeated(v)), 0);
  EXPECT_THROW(scaled_dot_product_attention(q.slice(1, 0, 5), k, v), ShapeError);
}

TEST_F(Attention, RotaryScoresDependOnDistanceAlone) {
  const Tensor q = normal({1, 1, 8}, rng_), k = normal({1, 1, 8}, rng_);
  for (const RotaryLayout layout : {RotaryLayout::half_split, RotaryLayout::interleaved}) {
    const auto score = [&](int64_t query_at, int64_t key_at) {
      const Tensor a = rotary_embedding(q, Tensor::full({1}, double(query_at), DType::i64), {.layout = layout});
      const Tensor b = rotary_embedding(k, Tensor::full({1}, double(key_at), DType::i64), {.layout = layout});
      return sum(a * b).item();
    };
    EXPECT_NEAR(score(9, 4), score(105, 100), 1e-5);
    EXPECT_GT(std::abs(score(9, 4) - score(9, 5)), 1e-3);
    EXPECT_NEAR(score(0, 0), sum(q * k).item(), 1e-6);
  }
  EXPECT_THROW(rotary_embedding(normal({1, 1, 7}, rng_), Tensor::arange(1)), ShapeError);
  EXPECT_THROW(rotary_embedding(q, Tensor::arange(2)), ShapeError);
  EXPECT_THROW(rotary_embedding(q, Tensor::zeros({1})), DTypeError);
}

TEST_F(Attention, EveryParameterGetsAGradient) {
  for (const bool norm_first : {false, true}) {
    TransformerOptions options = options_;
    options.norm_first = norm_first;
    TransformerDecoder decoder(8, 2, 2, rng_, options, true);
    decoder.unfreeze();
    decoder.train();
    const Tensor y = decoder.forward(normal({2, 3, 8}, rng_), normal({2, 4, 8}, rng_), {.is_causal = true}, {}, &rng_);
    backward(sum(y * normal({2, 3, 8}, rng_)));
    for (const auto& [name, parameter] : decoder.named_parameters()) EXPECT_TRUE(grad(parameter).defined()) << name;
  }
}

TEST_F(Attention, DropoutIsForTrainingOnly) {
  TransformerEncoderLayer layer(8, 2, rng_, options_);
  const Tensor x = normal({1, 4, 8}, rng_);
  const Tensor plain = layer.forward(x, {}, &rng_);
  expect_near(layer.forward(x, AttentionMasks{}), plain, 0);
  layer.train();
  EXPECT_NE(to_string(layer.forward(x, AttentionMasks{}, &rng_)), to_string(plain));
  EXPECT_NE(message_of<ValueError>([&] { layer.forward(x, AttentionMasks{}); }).find("TransformerEncoderLayer"),
            std::string::npos);
}

TEST_F(Attention, GivesTheSameBitsForAnyNumberOfThreads) {
  TransformerEncoderLayer layer(32, 4, rng_, options_);
  layer.unfreeze();
  const Tensor x = normal({3, 17, 32}, rng_);
  const auto run = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    layer.zero_grad();
    const Tensor y = layer.forward(x, AttentionMasks{.is_causal = true});
    backward(sum(y * y));
    set_num_threads(before);
    return std::pair{detach(y), grad(layer.get_parameter("self_attn.in_proj_weight")).clone()};
  };
  const auto one = run(1), two = run(2);
  EXPECT_EQ(std::memcmp(one.first.data<float>(), two.first.data<float>(), 3 * 17 * 32 * 4), 0);
  EXPECT_EQ(std::memcmp(one.second.data<float>(), two.second.data<float>(), 3 * 32 * 32 * 4), 0);
}

TEST_F(Attention, RefusesMismatchesByName) {
  EXPECT_NE(message_of<ValueError>([&] { MultiheadAttention(9, 2, rng_); }).find("embed_dim 9"), std::string::npos);
  for (const auto& body : {std::function([&] { TransformerEncoder(8, 2, -1, rng_); }),
                           std::function([&] { TransformerDecoder(8, 2, -1, rng_); })}) {
    EXPECT_NE(message_of<ValueError>(body).find("num_layers is -1"), std::string::npos);
  }
  for (const double eps : {-1e-5, std::nan("")}) {
    EXPECT_NE(message_of<ValueError>([&] {
                TransformerEncoderLayer(8, 2, rng_, {.layer_norm_eps = eps});
              }).find("layer_norm_eps"),
              std::string::npos);
  }
  const MultiheadAttention layer(8, 2, rng_);
  const Tensor x = normal({2, 3, 8}, rng_);
  EXPECT_NE(message_of<ShapeError>([&] {
              layer.forward(x, x, normal({2, 3, 7}, rng_));
            }).find("MultiheadAttention"),
            std::string::npos);
  EXPECT_THROW(layer.forward(x, x, x, {.key_padding_mask = Tensor::zeros({2, 4}, DType::boolean)}), ShapeError);
  EXPECT_THROW(layer.forward(x, x, x, {.attn_mask = Tensor::zeros({4, 3})}), ShapeError);
  EXPECT_THROW(layer.forward(normal({4, 8}, rng_), Offsets{0, 3}), ValueError);
  const Tensor q = normal({2, 4}, rng_), k = normal({1, 4}, rng_);
  EXPECT_NE(message_of<ValueError>([&] {
              attention(q, k, k, {0, 2}, {0, 1}, 2, 0, nullptr, true);
            }).find("2 queries"),
            std::string::npos);
  EXPECT_THROW(scaled_dot_product_attention(q, k, k, {.attn_mask = Tensor::zeros({2, 1}, DType::i64)}), DTypeError);
}

}  // namespace
}  // namespace qing::nn
