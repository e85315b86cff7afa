// Attention in tiles compared with its composition, around the edges of the tiles.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/allocator.h>
#include <qing/tensor/errors.h>

#include "autograd/naive.h"

namespace qing::test {
namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

Tensor leaf(Shape shape, uint64_t seed, DType dtype = DType::f64) {
  Tensor x = normal(std::move(shape), seed, dtype);
  set_requires_grad(x);
  return x;
}

// 0 where query i sees key j, else −∞.
Tensor causal_bias(int64_t queries, int64_t keys, int64_t first_query) {
  Tensor bias = Tensor::zeros({queries, keys}, DType::f64);
  for (int64_t i = 0; i < queries; ++i) {
    for (int64_t j = first_query + i + 1; j < keys; ++j) at(bias, {i, j}) = kHidden;
  }
  return bias;
}

// The results and the gradients of q, k, v (and the mask) under one cotangent.
std::vector<Tensor> with_gradients(const std::vector<Tensor>& leaves, const Tensor& y) {
  const Tensor up = normal(y.shape(), 99, y.dtype());
  std::vector<Tensor> results = gradients(sum(mul(y, up)), leaves);
  results.push_back(y.alias());
  return results;
}

void expect_all_near(const std::vector<Tensor>& got, const std::vector<Tensor>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_LT(largest_difference(got[i], want[i]), tolerance) << "result " << i;
}

struct Size {
  int64_t queries, keys, depth, value_depth;
};

class AttentionOfSize : public ::testing::TestWithParam<Size> {};
INSTANTIATE_TEST_SUITE_P(Tiles, AttentionOfSize,
                         ::testing::Values(Size{1, 1, 3, 2}, Size{1, 36, 8, 8}, Size{36, 36, 32, 32},
                                           Size{47, 63, 5, 7}, Size{48, 64, 16, 16}, Size{49, 65, 17, 9},
                                           Size{7, 200, 8, 24}, Size{150, 130, 20, 16}));

TEST_P(AttentionOfSize, EqualsItsComposition) {
  const auto [m, n, d, dv] = GetParam();
  const Tensor q = leaf({2, m, d}, 1), k = leaf({2, n, d}, 2), v = leaf({2, n, dv}, 3);
  const Tensor weights = softmax(matmul(q, k.transpose(1, 2)) * (1 / std::sqrt(static_cast<double>(d))));
  expect_all_near(with_gradients({q, k, v}, scaled_dot_product_attention(q, k, v)),
                  with_gradients({q, k, v}, matmul(weights, v)), 1e-12);
}

TEST_P(AttentionOfSize, CausalAndWithAddedMaskEqualsItsComposition) {
  const auto [m, n, d, dv] = GetParam();
  const int64_t first = std::max<int64_t>(0, n - m);
  const Tensor q = leaf({m, d}, 1), k = leaf({n, d}, 2), v = leaf({n, dv}, 3), bias = leaf({m, n}, 4);
  const Tensor fused = scaled_dot_product_attention(
      q, k, v, {.attn_mask = bias, .is_causal = true, .first_query = first, .scale = -0.4});
  const Tensor scores = matmul(q, k.transpose(0, 1)) * -0.4 + bias + causal_bias(m, n, first);
  expect_all_near(with_gradients({q, k, v, bias}, fused), with_gradients({q, k, v, bias}, matmul(softmax(scores), v)),
                  1e-12);
}

TEST(AttentionInTiles, SinglePrecisionIsNear) {
  const Shape shape = {100, 64};
  const Tensor q = leaf(shape, 1, DType::f32), k = leaf(shape, 2, DType::f32), v = leaf(shape, 3, DType::f32);
  const auto wide = [](const Tensor& x) {
    Tensor y = x.alias().to(DType::f64);
    set_requires_grad(y);
    return y;
  };
  const Tensor q64 = wide(q), k64 = wide(k), v64 = wide(v);
  const Offsets offsets = {0, 70, 100};
  const auto got = with_gradients({q, k, v}, attention(q, k, v, offsets, 2));
  const Tensor y = attention(q64, k64, v64, offsets, 2);
  auto want = gradients(sum(mul(y, normal(y.shape(), 99, DType::f32).to(DType::f64))), {q64, k64, v64});
  want.push_back(y.alias());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_LT(largest_difference(got[i].to(DType::f64), want[i]), 3e-6) << i;
}

TEST(AttentionInTiles, ALargerScoreInALaterTileTakesOver) {
  const int64_t n = 150;
  const Tensor q = Tensor::full({1, 1}, 1, DType::f64), k = Tensor::zeros({n, 1}, DType::f64);
  for (int64_t j = 0; j < n; ++j) at(k, {j, 0}) = 10.0 * static_cast<double>(j);
  const Tensor v = normal({n, 3}, 5);
  const Tensor y = scaled_dot_product_attention(q, k, v);
  EXPECT_LT(largest_difference(y, matmul(softmax(matmul(q, k.transpose(0, 1))), v)), 1e-14);
}

TEST(AttentionInTiles, AFirstQueryBeyondAllKeysSeesThemAll) {
  const Tensor q = normal({5, 4}, 1), k = normal({7, 4}, 2), v = normal({7, 3}, 3);
  const Tensor all = scaled_dot_product_attention(q, k, v);
  for (const int64_t first : {int64_t{7}, std::numeric_limits<int64_t>::max()}) {
    const Tensor y = scaled_dot_product_attention(q, k, v, {.is_causal = true, .first_query = first});
    for (int64_t i = 0; i < y.numel(); ++i) EXPECT_EQ(y.data<double>()[i], all.data<double>()[i]);
  }
  const Tensor none =
      scaled_dot_product_attention(q, k, v, {.is_causal = true, .first_query = std::numeric_limits<int64_t>::min()});
  for (const double value : none.span<double>()) EXPECT_EQ(value, 0);
}

TEST(AttentionInTiles, HugeScoresKeepTheirShares) {
  const Tensor q = Tensor::full({1, 1}, 1e30, DType::f32), k = Tensor::from<float>({1, -1, 1}, {3, 1});
  Tensor v = Tensor::from<float>({1, 2, 5}, {3, 1});
  set_requires_grad(v);
  const Tensor y = scaled_dot_product_attention(q, k, v);
  EXPECT_EQ(y.item(), 3);
  backward(sum(y));
  EXPECT_EQ(to_string(grad(v)), to_string(Tensor::from<float>({0.5F, 0, 0.5F}, {3, 1})));
}

TEST(AttentionInTiles, NanAffectsOnlyItsQuery) {
  Tensor q = normal({70, 8}, 1), k = normal({70, 8}, 2), v = normal({70, 8}, 3);
  at(q, {50, 3}) = std::numeric_limits<double>::quiet_NaN();
  const Tensor y = scaled_dot_product_attention(q, k, v);
  for (int64_t i = 0; i < 70; ++i) EXPECT_EQ(std::isnan(at(y, {i, 0})), i == 50) << i;
}

TEST(AttentionInTiles, AQueryOfNanIsNanForAnyNumberOfKeys) {
  const auto check = [](DType dtype) {
    for (const int64_t keys : {1, 2, 3, 5, 8, 17, 36, 66}) {
      Tensor q = normal({3, 4}, 1, dtype);
      q.select(0, 1).fill(std::numeric_limits<double>::quiet_NaN());
      const Tensor k = normal({keys, 4}, 2, dtype), v = normal({keys, 3}, 3, dtype);
      for (const bool causal : {false, true}) {
        const Tensor y = scaled_dot_product_attention(q, k, v, {.is_causal = causal}).to(DType::f64);
        for (int64_t i = 0; i < 9; ++i) EXPECT_EQ(std::isnan(y.data<double>()[i]), i / 3 == 1) << keys << ", " << i;
      }
    }
  };
  check(DType::f32);
  check(DType::f64);
}

TEST(AttentionInTiles, AQueryWithoutKeysGetsZerosAndGivesNone) {
  const Tensor q = leaf({80, 4}, 1), k = leaf({70, 4}, 2), v = leaf({70, 4}, 3);
  Tensor mask = Tensor::full({80, 70}, 1, DType::boolean);
  for (int64_t j = 0; j < 70; ++j) {
    mask.data<bool>()[60 * 70 + j] = false;
    if (j < 64) mask.data<bool>()[61 * 70 + j] = false;  // nothing in the first tile
  }
  const auto results = with_gradients({q, k, v}, scaled_dot_product_attention(q, k, v, {.attn_mask = mask}));
  for (int64_t c = 0; c < 4; ++c) {
    EXPECT_EQ(at(results[3], {60, c}), 0);
    EXPECT_EQ(at(results[0], {60, c}), 0);
    EXPECT_NE(at(results[3], {61, c}), 0);
  }
  for (const Tensor& r : results) EXPECT_TRUE(std::isfinite(sum(r).item()));
}

TEST(AttentionInTiles, NeitherTheBatchNorThreadsChangeABit) {
  const Shape shape = {400, 32};
  const Tensor q = normal(shape, 1, DType::f32), k = normal(shape, 2, DType::f32), v = normal(shape, 3, DType::f32);
  const auto run = [&](int64_t first, int64_t last, const Offsets& offsets, double p) {
    std::vector<Tensor> parts;
    for (const Tensor* x : {&q, &k, &v}) {
      parts.push_back(x->slice(0, first, last).clone());
      set_requires_grad(parts.back());
    }
    Generator rng(7);
    const Tensor y = attention(parts[0], parts[1], parts[2], offsets, 4, p, &rng);
    std::vector<Tensor> results = gradients(sum(mul(y, normal(shape, 4, DType::f32).slice(0, first, last))), parts);
    results.push_back(y.alias());
    return results;
  };
  expect_same_bits_on_threads([&] { return run(0, 400, {0, 36, 40, 40, 240, 400}, 0.1); });
  const auto whole = run(0, 400, {0, 36, 40, 40, 240, 400}, 0), part = run(40, 240, {0, 200}, 0);
  for (size_t i = 0; i < part.size(); ++i) EXPECT_TRUE(same_bits(part[i], whole[i].slice(0, 40, 240))) << i;
}

TEST(AttentionInTiles, DropoutIsTheSameForwardAndBackwardAndKeepsTheMean) {
  const Tensor q = leaf({300, 16}, 1), k = leaf({300, 16}, 2), v = leaf({300, 16}, 3);
  Generator rng(5);
  const Tensor y = attention(q, k, v, {0, 100, 300}, 2, 0.25, &rng);
  EXPECT_EQ(rng.stream(), 1U);
  const Tensor up = normal(y.shape(), 6);
  const double forward = sum(mul(y, up)).item();
  const std::vector<Tensor> g = gradients(sum(mul(y, up)), {v});
  // The result is linear in v.
  EXPECT_NEAR(sum(mul(g[0], v)).item(), forward, 1e-10 * std::abs(forward));
  const Tensor ones = Tensor::full({300, 16}, 1, DType::f64);
  Generator again(5);
  EXPECT_NEAR(mean(attention(q, k, ones, {0, 100, 300}, 2, 0.25, &again)).item(), 1, 0.02);
}

TEST(AttentionInTiles, DifferentiableGradientsEqualThoseOfTheTiles) {
  const Tensor q = leaf({170, 8}, 1), k = leaf({200, 8}, 2), v = leaf({200, 8}, 3), up = normal({170, 8}, 4);
  const auto found = [&](bool create_graph) {
    Generator rng(5);
    const Tensor y = attention(q, k, v, {0, 50, 170}, {0, 70, 200}, 2, 0.3, &rng, true);
    return gradients(sum(mul(y, up)), {q, k, v}, {.create_graph = create_graph});
  };
  expect_all_near(found(true), found(false), 1e-12);
}

TEST(AttentionInTiles, OneTensorInAllPlacesWithOtherOffsets) {
  const Tensor x = leaf({90, 8}, 1);
  const Offsets queries = {0, 20, 90}, keys = {0, 75, 90};
  const auto same = with_gradients({x}, attention(x, x, x, queries, keys, 2));
  const Tensor q = leaf({90, 8}, 1), k = leaf({90, 8}, 1), v = leaf({90, 8}, 1);
  const auto apart = with_gradients({q, k, v}, attention(q, k, v, queries, keys, 2));
  EXPECT_LT(largest_difference(same[0], add(add(apart[0], apart[1]), apart[2])), 1e-13);
}

TEST(AttentionInTiles, AMaskWrittenAfterForwardIsAnError) {
  const Tensor q = leaf({3, 4}, 1), k = leaf({5, 4}, 2), v = leaf({5, 4}, 3);
  Tensor mask = Tensor::zeros({3, 5}, DType::f64);
  const Tensor y = scaled_dot_product_attention(q, k, v, {.attn_mask = mask});
  mask.fill(1);
  EXPECT_THROW(backward(sum(y)), AutogradError);
}

// The peak memory of a step grows with the tokens, not with their square.
TEST(AttentionMemory, IsLinear) {
  const auto peak = [](int64_t tokens, double p) {
    const Tensor x = leaf({tokens, 16}, 1, DType::f32), up = normal({tokens, 16}, 2, DType::f32);
    Generator rng(3);
    reset_peak_memory();
    const size_t before = memory_stats().current_bytes;
    backward(attention(x, x, x, {0, tokens}, 2, p, &rng), {.gradient = up});
    return memory_stats().peak_bytes - before;
  };
  for (const double p : {0.0, 0.1}) {
    const size_t small = peak(1024, p), large = peak(2048, p);
    EXPECT_LE(large, 2 * small + 4096);
    EXPECT_LT(large, size_t{1} << 20);  // a matrix of weights alone would take 32 MiB
  }
}

// The kernel reads the same numbers from other addresses.
TEST(PackedAttention, EqualsSeparateOperandsToTheBit) {
  const Offsets offsets = {0, 50, 50, 170}, firsts = {0, 1, 1, 4};
  const auto packed = [](const std::vector<Tensor>& parts) { return cat(parts, 1); };
  const Tensor q = leaf({170, 32}, 1).to(DType::f32), k = leaf({170, 32}, 2).to(DType::f32),
               v = leaf({170, 32}, 3).to(DType::f32);
  Generator one(5), other(5);
  const Tensor apart = attention(q, k, v, offsets, 4, 0.2, &one);
  EXPECT_TRUE(same_bits(apart, attention_qkv_packed(packed({q, k, v}), offsets, 4, 0.2, &other)));
  const Tensor first = slice(q, 0, 0, 4);
  Generator third(5), fourth(5);
  EXPECT_TRUE(same_bits(attention(first, k, v, firsts, offsets, 4, 0.2, &third),
                        attention_kv_packed(first, packed({k, v}), firsts, offsets, 4, 0.2, &fourth)));
}

// Softmax of a row with only −∞ would be NaN, and its gradient would spread to every parameter.
TEST(AttentionInTiles, AQueryWithoutVisibleKeysGivesZerosAndFiniteGradients) {
  const Tensor k = leaf({70, 4}, 2), v = leaf({70, 4}, 3);
  Tensor added = Tensor::zeros({3, 70}, DType::f64), seen = Tensor::full({3, 70}, 1, DType::boolean);
  added.slice(0, 1, 2).fill(kHidden);
  seen.slice(0, 1, 2).fill(0);
  const Tensor rows = leaf({2, 4}, 1), up = normal({3, 4}, 5);
  const Tensor alone = cat({up.slice(0, 0, 1), up.slice(0, 2, 3)});
  const auto want = gradients(sum(mul(scaled_dot_product_attention(rows, k, v), alone)), {k, v});
  for (const Tensor& mask : {added, seen}) {
    Tensor q = cat({rows.alias().slice(0, 0, 1), normal({1, 4}, 7), rows.alias().slice(0, 1, 2)});
    set_requires_grad(q);
    const Tensor y = scaled_dot_product_attention(q, k, v, {.attn_mask = mask});
    const auto got = gradients(sum(mul(y, up)), {k, v, q});
    for (int64_t j = 0; j < 4; ++j) {
      EXPECT_EQ(at(y, {1, j}), 0);
      EXPECT_EQ(at(got[2], {1, j}), 0);
    }
    expect_all_near({got[0], got[1]}, want, 1e-13);
  }
}

}  // namespace
}  // namespace qing::test
