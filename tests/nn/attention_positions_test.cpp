// Encoder blocks whose attention knows positions or shares key heads.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include <qing/autograd/autograd.h>
#include <qing/autograd/functional/gradcheck.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/threads.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;

constexpr int64_t kWidth = 16, kHeads = 4, kReach = 6;

Tensor normal(Shape shape, Generator& rng, DType dtype = DType::f64) {
  Tensor x = Tensor::empty(std::move(shape));
  rng.fill_normal(x, 0, 1);
  return x.to(dtype);
}

class Block : public EncoderBlock<ProjectedAttention> {
 public:
  Block(const AttentionLayerOptions& attention, Generator& rng)
      : EncoderBlock(ProjectedAttention("Block", kWidth, attention, rng),
                     {.name = "Block", .width = kWidth, .hidden = 12}, rng) {}
  void visit(Visitor& visitor) override {
    visitor.module("attention", attention_);
    visitor.module("wide", wide_);
    visitor.module("narrow", narrow_);
    visitor.module("norm1", *attention_norm_);
    visitor.module("norm2", *feed_forward_norm_);
  }
};

struct Case {
  const char* name;
  AttentionLayerOptions attention;
  bool relative_bias = false;
};

// The block from single dense operations, sequence by sequence and head by head.
Tensor composed(Block& block, const Case& c, const Tensor& x, const Offsets& offsets, const Tensor& bias, bool causal) {
  const StateDict w = block.state_dict();
  const auto product = [&](const Tensor& rows, const std::string& name) {
    return linear(rows, w.at(name + ".weight"), w.at(name + ".bias"));
  };
  const auto norm = [&](const Tensor& rows, const std::string& name) {
    return layer_norm(rows, w.at(name + ".weight"), w.at(name + ".bias"), 1e-5);
  };
  const int64_t d = kWidth / kHeads;
  const int64_t key_heads = c.attention.key_value_heads == 0 ? kHeads : c.attention.key_value_heads;
  std::vector<Tensor> sequences;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const Tensor rows = slice(x, 0, offsets[s], offsets[s + 1]);
    const int64_t n = rows.size(0);
    const Tensor q = product(rows, "attention.query"), k = product(rows, "attention.key"),
                 v = product(rows, "attention.value");
    std::vector<Tensor> heads;
    for (int64_t h = 0; h < kHeads; ++h) {
      const int64_t g = h / (kHeads / key_heads);
      Tensor qh = slice(q, 1, h * d, (h + 1) * d), kh = slice(k, 1, g * d, (g + 1) * d);
      if (c.attention.rotary) {
        const Tensor positions = Tensor::arange(n);
        const auto rotated = [&](const Tensor& rows_of) {
          return reshape(rotary_embedding(reshape(rows_of, {n, 1, d}), positions, *c.attention.rotary), {n, d});
        };
        qh = rotated(qh), kh = rotated(kh);
      }
      Tensor scores = matmul(qh, transpose(kh, 0, 1)) / std::sqrt(static_cast<double>(d));
      Tensor added = Tensor::zeros({n, n}, DType::f64);
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double& a = added.data<double>()[i * n + j];
          if (c.attention.alibi) a -= std::exp2(-2.0 * static_cast<double>(h + 1)) * std::abs(double(i - j));
          if (bias.defined()) a += bias.at({h, j - i + kReach - 1});
          if (causal && j > i) a = -std::numeric_limits<double>::infinity();
        }
      }
      heads.push_back(matmul(softmax(scores + added), slice(v, 1, g * d, (g + 1) * d)));
    }
    sequences.push_back(cat(heads, 1));
  }
  const Tensor h = norm(x + product(cat(sequences), "attention.output"), "norm1");
  return norm(h + product(relu(product(h, "wide")), "narrow"), "norm2");
}

class AttentionPositions : public ::testing::TestWithParam<Case> {
 protected:
  AttentionPositions() {
    block_.to(DType::f64);
    for (const Tensor& parameter : block_.parameters()) parameter.alias().copy_from(normal(parameter.shape(), rng_));
    if (GetParam().relative_bias) bias_ = normal({kHeads, 2 * kReach - 1}, rng_);
  }
  Generator rng_{3};
  Block block_{GetParam().attention, rng_};
  Offsets offsets_{0, 3, 3, 4, 10};
  Tensor x_ = normal({10, kWidth}, rng_), bias_;
};

TEST_P(AttentionPositions, EqualItsComposition) {
  for (const bool causal : {false, true}) {
    EXPECT_TRUE(allclose(block_.forward(x_, offsets_, causal, nullptr, bias_),
                         composed(block_, GetParam(), x_, offsets_, bias_, causal), 1e-10, 1e-10))
        << causal;
  }
}

TEST_P(AttentionPositions, GiveTheRowsThatAreWanted) {
  const Tensor all = block_.forward(x_, offsets_, false, nullptr, bias_);
  const auto expect_rows = [&](const std::vector<int64_t>& rows, const Offsets& offsets, const Offsets& firsts) {
    const Tensor index = Tensor::from<int64_t>(rows, {std::ssize(rows)});
    EXPECT_TRUE(allclose(block_.forward_rows(index_select(x_, 0, index), offsets, x_, offsets_, nullptr, firsts, bias_),
                         index_select(all, 0, index), 1e-11, 1e-11));
  };
  expect_rows({0, 3, 4}, {0, 1, 1, 2, 3}, {0, 0, 0, 0});
  expect_rows({1, 2, 6, 7, 8}, {0, 2, 2, 2, 5}, {1, 0, 0, 2});
}

TEST_P(AttentionPositions, HaveTheGradientsOfDifferences) {
  std::vector<Tensor> inputs{x_};
  if (bias_.defined()) inputs.push_back(bias_);
  for (Tensor& input : inputs) set_requires_grad(input);
  const auto result = gradcheck(
      [&](const auto& in) { return block_.forward(in[0], offsets_, false, nullptr, in.size() > 1 ? in[1] : Tensor()); },
      inputs);
  EXPECT_TRUE(result.ok) << result.message;
}

TEST_P(AttentionPositions, DependNeitherOnTheBatchNorOnThreads) {
  Block block(GetParam().attention, rng_);
  Tensor bias = bias_.defined() ? bias_.to(DType::f32) : bias_;
  const Tensor x = normal({10, kWidth}, rng_, DType::f32);
  const auto run = [&] {
    Tensor leaf = bias.defined() ? bias.clone() : Tensor();
    if (leaf.defined()) set_requires_grad(leaf);
    const Tensor y = block.forward(x, offsets_, false, nullptr, leaf);
    if (leaf.defined()) backward(sum(y * y));
    return std::pair(detach(y), leaf.defined() ? grad(leaf) : Tensor());
  };
  const int threads = num_threads();
  set_num_threads(1);
  const auto one = run();
  set_num_threads(3);
  const auto three = run();
  set_num_threads(threads);
  EXPECT_TRUE(identical(one.first, three.first));
  if (bias.defined()) { EXPECT_TRUE(identical(one.second, three.second)); }
  for (const auto& [begin, end] : {std::pair{0, 3}, {3, 4}, {4, 10}}) {
    const Tensor alone = block.forward(x.slice(0, begin, end), {0, end - begin}, false, nullptr, bias);
    EXPECT_TRUE(identical(alone, one.first.slice(0, begin, end).contiguous()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Options, AttentionPositions,
    ::testing::Values(
        Case{"Grouped", {.heads = kHeads, .key_value_heads = 2}},
        Case{"Rotary", {.heads = kHeads, .rotary = RotaryOptions{}}},
        Case{"InterleavedGrouped",
             {.heads = kHeads, .key_value_heads = 1, .rotary = RotaryOptions{.layout = RotaryLayout::interleaved}}},
        Case{"Alibi", {.heads = kHeads, .alibi = true}}, Case{"Relative", {.heads = kHeads}, true},
        Case{"All", {.heads = kHeads, .key_value_heads = 2, .rotary = RotaryOptions{}, .alibi = true}, true}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(AttentionOptions, AreChecked) {
  Generator rng(1);
  const auto why = [&](const AttentionLayerOptions& options) {
    return message_of<ValueError>([&] { ProjectedAttention("Layer", kWidth, options, rng); });
  };
  EXPECT_NE(why({.heads = 0}).find("Layer: num_heads is 0"), std::string::npos);
  EXPECT_NE(why({.heads = 4, .key_value_heads = 3}).find("Layer: key_value_heads 3"), std::string::npos);
  EXPECT_NE(why({.heads = 3}).find("Layer: width 16"), std::string::npos);
  EXPECT_NE(why({.heads = 16, .rotary = RotaryOptions{}}).find("even"), std::string::npos);
  EXPECT_NE(why({.rotary = RotaryOptions{.base = 0}}).find("rotary base"), std::string::npos);
  EXPECT_NE(why({.dropout = 1}).find("Layer"), std::string::npos);
}

TEST(AttentionOptions, QueriesNeedTheirPositions) {
  Generator rng(1);
  const Block plain({.heads = kHeads}, rng), alibi({.heads = kHeads, .alibi = true}, rng);
  const Tensor x = normal({3, kWidth}, rng, DType::f32), one = x.slice(0, 0, 1);
  EXPECT_NO_THROW(plain.forward_rows(one, {0, 1}, x, {0, 3}));
  EXPECT_THROW(alibi.forward_rows(one, {0, 1}, x, {0, 3}), ValueError);
  EXPECT_THROW(alibi.forward_rows(one, {0, 1}, x, {0, 3}, nullptr, {3}), ValueError);
  EXPECT_THROW(alibi.forward_rows(one, {0, 1}, x, {0, 3}, nullptr, {0, 0}), ValueError);
  EXPECT_THROW(alibi.forward(x, {0, 4}), ValueError);
  EXPECT_THROW(alibi.forward(x, {}), ValueError);
  EXPECT_THROW(plain.forward(x, {0, 3}, false, nullptr, Tensor::zeros({kHeads, 3})), ShapeError);
  EXPECT_THROW(plain.forward(x, {0, 3}, false, nullptr, Tensor::zeros({kHeads, 6})), ShapeError);
  EXPECT_THROW(plain.forward(x, {0, 3}, false, nullptr, Tensor::zeros({kHeads, 5}, DType::f64)), DTypeError);
}

TEST(RelativePosition, BucketsOfShortDistancesAreTheirOwn) {
  for (int64_t distance = 0; distance < 8; ++distance) {
    EXPECT_EQ(relative_position_bucket(-distance), distance);
    EXPECT_EQ(relative_position_bucket(distance), distance == 0 ? 0 : 16 + distance);
  }
  EXPECT_EQ(relative_position_bucket(-8), 8);
  EXPECT_EQ(relative_position_bucket(-127), 15);
  EXPECT_EQ(relative_position_bucket(1000), 31);
  EXPECT_THROW(relative_position_bucket(1, {.buckets = 6}), ValueError);
  EXPECT_THROW(relative_position_bucket(1, {.max_distance = 8}), ValueError);
}

TEST(RelativePosition, ABiasIsATableOfBuckets) {
  Generator rng(2);
  RelativePositionBias bias(3, rng, {.buckets = 8, .max_distance = 10}, 9);
  bias.unfreeze();
  const Tensor weight = bias.get_parameter("weight");
  ASSERT_EQ(weight.shape(), (Shape{9, 3}));
  const Tensor found = bias.forward(5);
  ASSERT_EQ(found.shape(), (Shape{3, 9}));
  std::map<int64_t, double> uses;
  for (int64_t i = 0; i < 9; ++i) {
    const int64_t bucket = relative_position_bucket(i - 4, {.buckets = 8, .max_distance = 10});
    uses[bucket] += 1;
    for (int64_t h = 0; h < 3; ++h) EXPECT_EQ(found.at({h, i}), weight.at({bucket, h}));
  }
  backward(sum(found));
  for (int64_t b = 0; b < 9; ++b) EXPECT_EQ(grad(weight).at({b, 1}), uses[b]);
  EXPECT_THROW(bias.forward(0), ValueError);
  EXPECT_THROW(RelativePositionBias(3, rng, {}, 31), ValueError);
}

TEST(TransformerLayers, NameThemselvesInErrorsOfTheirOptions) {
  Generator rng(1);
  const auto why = [&](const auto& build) { return message_of<ValueError>(build); };
  EXPECT_EQ(why([&] { TransformerEncoderLayer(8, 2, rng, {.dropout = 1.5}); }).find("TransformerEncoderLayer: "), 0U);
  EXPECT_EQ(why([&] { TransformerEncoderLayer(8, 3, rng); }).find("TransformerEncoderLayer: d_model 8"), 0U);
  EXPECT_EQ(why([&] { TransformerDecoderLayer(8, 2, rng, {.dropout = -1}); }).find("TransformerDecoderLayer: "), 0U);
  EXPECT_EQ(why([&] { TransformerEncoder(8, 0, 1, rng); }).find("TransformerEncoder: nhead"), 0U);
}

}  // namespace
}  // namespace qing::nn
