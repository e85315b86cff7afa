// Properties of every differentiable operation: its gradient and its determinism. Fused operations equal plain ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <iterator>

#include <qing/autograd/autograd.h>
#include <qing/autograd/functional/gradcheck.h>
#include <qing/autograd/graph.h>
#include <qing/autograd/op_names.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/threads.h>

#include "autograd/op_samples.h"

namespace qing {
namespace {

using test::op_samples;
using test::OpSample;

class Op : public ::testing::TestWithParam<OpSample> {};

TEST_P(Op, GradientEqualsCentralDifferencesOnARandomCotangent) {
  const auto result = gradcheck(GetParam().function, GetParam().inputs(), {.step = GetParam().step});
  EXPECT_TRUE(result.ok) << result.worst << ": " << result.message;
}

TEST_P(Op, AccumulatesIntoAnExistingGradient) {
  const auto inputs = GetParam().inputs();
  for (int run = 0; run < 2; ++run) {
    const Tensor y = GetParam().function(inputs);
    backward(y, {.gradient = Tensor::full(y.shape(), 0.5, y.dtype())});
    if (run == 1) continue;
    // Nothing is cleared, because the second run must add to the sums of the first.
  }
  const auto once = GetParam().inputs();
  const Tensor y = GetParam().function(once);
  backward(y, {.gradient = Tensor::full(y.shape(), 1.0, y.dtype())});
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!requires_grad(inputs[i])) continue;
    const auto twice = grad(inputs[i]).span<double>(), single = grad(once[i]).span<double>();
    for (size_t j = 0; j < twice.size(); ++j) EXPECT_NEAR(twice[j], single[j], 1e-12 * (1 + std::abs(single[j])));
  }
}

std::string sample_name(const ::testing::TestParamInfo<OpSample>& info) {
  std::string name(info.param.op);
  name += "_" + std::to_string(info.index);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Every, Op, ::testing::ValuesIn(op_samples()), sample_name);

class TwiceDifferentiable : public ::testing::TestWithParam<OpSample> {};

TEST_P(TwiceDifferentiable, SecondGradientEqualsCentralDifferences) {
  const auto result = gradgradcheck(GetParam().function, GetParam().inputs(), {.step = GetParam().step});
  EXPECT_TRUE(result.ok) << result.worst << ": " << result.message;
}

// gradgradcheck differentiates the recorded backward. This test compares the recorded backward with the plain one.
TEST_P(TwiceDifferentiable, RecordedGradientEqualsThePlainOne) {
  const auto inputs = GetParam().inputs();
  std::vector<Tensor> leaves;
  std::copy_if(inputs.begin(), inputs.end(), std::back_inserter(leaves), requires_grad);
  const Tensor y = GetParam().function(inputs);
  Tensor cotangent = Tensor::empty(y.shape(), y.dtype());
  Generator(17).fill_normal(cotangent, 0, 1);
  const GradientsOptions plain{.retain_graph = true, .allow_unused = true, .gradient = cotangent};
  GradientsOptions recorded = plain;
  recorded.create_graph = true;
  const auto want = gradients(y, leaves, plain), got = gradients(y, leaves, recorded);
  for (size_t i = 0; i < leaves.size(); ++i) {
    ASSERT_EQ(want[i].defined(), got[i].defined()) << "input " << i;
    if (!want[i].defined()) continue;
    const Tensor a = want[i].alias().contiguous(), b = got[i].alias().contiguous();
    for (int64_t j = 0; j < a.numel(); ++j) {
      EXPECT_NEAR(a.data<double>()[j], b.data<double>()[j], 1e-12 * (1 + std::abs(a.data<double>()[j])))
          << "input " << i << ", element " << j;
    }
  }
}

Order order_of(std::string_view op) {
  return std::find_if(kOps.begin(), kOps.end(), [op](const OpInfo& info) { return info.name == op; })->order;
}

std::vector<OpSample> twice_differentiable() {
  std::vector<OpSample> found = op_samples();
  std::erase_if(found, [](const OpSample& sample) { return order_of(sample.op) == Order::first; });
  return found;
}
INSTANTIATE_TEST_SUITE_P(Every, TwiceDifferentiable, ::testing::ValuesIn(twice_differentiable()), sample_name);

// The check must reject a wrong gradient.
TEST(Gradcheck, FindsAWrongGradient) {
  const auto wrong = [](const std::vector<Tensor>& in) {
    Tensor y = in[0].clone();
    if (recording({in[0]})) {
      record(OpName::custom("wrong"), y, {in[0]},
             [](const Tensor& dy, GradSink& grad) { grad.add(0, scale(dy, 1.001)); });
    }
    return y;
  };
  Tensor x = Tensor::full({3}, 1, DType::f64);
  set_requires_grad(x);
  const auto result = gradcheck(wrong, {x});
  EXPECT_FALSE(result.ok);
  EXPECT_NEAR(result.worst, 1e-3, 1e-3);
  EXPECT_NE(result.message.find("input 0"), std::string::npos);
}

TEST(Gradgradcheck, FindsAWrongAndAMissingSecondGradient) {
  // y = x³ has the second derivative 6x. Each of these loses a part of it.
  const auto cube = [](const std::vector<Tensor>& in, bool wired) {
    Tensor y = in[0].alias() * in[0].alias() * in[0].alias();
    if (recording({in[0]})) {
      record(OpName::custom("cube", Order::second), y, {in[0]},
             [wired, x = Saved(in[0])](const Tensor& dy, GradSink& grad) {
               const Tensor once = wired ? grad.input(0, x) : x.get(grad);
               grad.add(0, scale(mul(dy, mul(once, x.get(grad))), 3));
             });
    }
    return y;
  };
  Tensor x = Tensor::full({3}, 1.5, DType::f64);
  set_requires_grad(x);
  for (const bool wired : {true, false}) {
    const auto function = [&](const std::vector<Tensor>& in) { return cube(in, wired); };
    EXPECT_TRUE(gradcheck(function, {x}).ok);
    EXPECT_FALSE(gradgradcheck(function, {x}).ok);
  }
}

Tensor normal(Shape shape, uint64_t seed, DType dtype = DType::f32) {
  Generator rng(seed);
  Tensor x = Tensor::empty(std::move(shape), dtype);
  rng.fill_normal(x, 0, 1);
  return x;
}

void expect_same_bits(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_EQ(std::memcmp(a.data<float>(), b.data<float>(), static_cast<size_t>(a.numel()) * sizeof(float)), 0);
}

TEST(Fused, LinearGeluEqualsGeluOfLinear) {
  const Tensor x = normal({33, 20}, 1), w = normal({12, 20}, 2), b = normal({12}, 3);
  expect_same_bits(linear_gelu(x, w, b), gelu(linear(x, w, b)));
}

TEST(Fused, DropoutAddLayerNormEqualsItsParts) {
  const Tensor x = normal({9, 20}, 1), r = normal({9, 20}, 2), w = normal({20}, 3), b = normal({20}, 4);
  Generator one(5), other(5);
  const Tensor fused = dropout_add_layer_norm(x, r, w, b, 1e-12, 0.2, &one);
  const Tensor plain = layer_norm(r + dropout(x, 0.2, other), w, b, 1e-12);
  for (int64_t i = 0; i < fused.numel(); ++i) EXPECT_NEAR(fused.data<float>()[i], plain.data<float>()[i], 1e-5);
}

TEST(Fused, AttentionEqualsSoftmaxOfProducts) {
  const Tensor q = normal({5, 4}, 1, DType::f64), k = normal({5, 4}, 2, DType::f64), v = normal({5, 4}, 3, DType::f64);
  const Tensor fused = attention(q, k, v, {0, 5}, 2);
  for (int64_t h = 0; h < 2; ++h) {
    const auto head = [&](const Tensor& t) { return t.slice(1, 2 * h, 2 * h + 2); };
    const Tensor plain = matmul(softmax(scale(matmul(head(q), head(k).transpose(0, 1)), 1 / std::sqrt(2.0))), head(v));
    for (int64_t i = 0; i < 5; ++i) {
      for (int64_t j = 0; j < 2; ++j) {
        EXPECT_NEAR(fused.select(0, i).select(0, 2 * h + j).item(), plain.select(0, i).select(0, j).item(), 1e-13);
      }
    }
  }
}

TEST(Attention, ASequenceDoesNotSeeTheRestOfTheBatch) {
  const Tensor q = normal({40, 16}, 1), k = normal({40, 16}, 2), v = normal({40, 16}, 3);
  const Tensor batch = attention(q, k, v, {0, 13, 14, 40}, 4);
  const auto part = [](const Tensor& t) { return t.slice(0, 14, 40).contiguous(); };
  expect_same_bits(attention(part(q), part(k), part(v), {0, 26}, 4), part(batch));
}

TEST(Attention, OneQueryOfASequenceGetsItsRowOfTheFullResult) {
  const Tensor q = normal({40, 16}, 1), k = normal({40, 16}, 2), v = normal({40, 16}, 3);
  const Tensor whole = attention(q, k, v, {0, 13, 40}, 4);
  const Tensor firsts = index_select(q, 0, Tensor::from<int64_t>({0, 13}, {2}));
  const Tensor rows = attention(firsts, k, v, {0, 1, 2}, {0, 13, 40}, 4);
  expect_same_bits(rows, index_select(whole, 0, Tensor::from<int64_t>({0, 13}, {2})));
}

class TwoThreads : public ::testing::Test {
 protected:
  ~TwoThreads() override { set_num_threads(before_); }
  int before_ = num_threads();
};

TEST_F(TwoThreads, GiveTheSameBitsAsOne) {
  std::vector<Tensor> results[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Tensor x = normal({700, 32}, 1), w = normal({48, 32}, 2), b = normal({48}, 3), g = normal({48}, 4);
    for (Tensor* leaf : {&x, &w, &b, &g}) set_requires_grad(*leaf);
    Generator rng(6);
    const Tensor h = linear_gelu(x, w, b);
    const Tensor a = attention(h, h, h, {0, 100, 130, 700}, 4, 0.1, &rng);
    const Tensor n = dropout_add_layer_norm(a, h, g, b, 1e-5, 0.1, &rng);
    backward(mean(n * n));
    results[threads - 1] = {n, grad(x), grad(w), grad(b), grad(g)};
  }
  for (size_t i = 0; i < results[0].size(); ++i) expect_same_bits(results[0][i], results[1][i]);
}

TEST(Dropout, KeepsTheMeanAndTheShare) {
  Generator rng(11);
  const Tensor y = dropout(Tensor::full({100000}, 1), 0.25, rng);
  int64_t zeros = 0;
  for (const float value : y.span<float>()) {
    zeros += value == 0;
    EXPECT_TRUE(value == 0 || std::abs(value - 4.0F / 3) < 1e-6);
  }
  EXPECT_NEAR(static_cast<double>(zeros) / 100000, 0.25, 0.006);  // four standard deviations
}

TEST(Dropout, OfEverythingIsZero) {
  Generator rng(11);
  Tensor x = Tensor::full({3}, 2);
  set_requires_grad(x);
  const Tensor y = dropout(x, 1, rng);
  backward(sum(y));
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(y.data<float>()[i], 0);
    EXPECT_EQ(grad(x).data<float>()[i], 0);
  }
}

TEST(Errors, NameTheOperationAndTheShapes) {
  const auto message = [](const auto& body) -> std::string {
    try {
      body();
    } catch (const Error& error) { return error.what(); }
    return "nothing was thrown";
  };
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({2, 3});
  EXPECT_NE(message([&] { matmul(a, b); }).find("matmul: [2, 3] times [2, 3]"), std::string::npos);
  EXPECT_THROW(matmul(a, b), ShapeError);
  EXPECT_THROW(add(a, Tensor::zeros({2})), ShapeError);
  EXPECT_THROW(add(a, Tensor::zeros({2, 3}, DType::f64)), DTypeError);
  EXPECT_THROW(gelu(Tensor::zeros({2}, DType::i64)), DTypeError);
  EXPECT_THROW(linear(a, Tensor::zeros({4, 5})), ShapeError);
  EXPECT_THROW(embedding(a, Tensor::from<int64_t>({2}, {1})), IndexError);
  EXPECT_THROW(embedding(a, Tensor::from<int64_t>({-1}, {1})), IndexError);
  EXPECT_THROW(cross_entropy(a, Tensor::from<int64_t>({0, 3}, {2})), IndexError);
  EXPECT_THROW(cross_entropy(a, Tensor::from<int64_t>({-100, -100}, {2})), ValueError);
  EXPECT_THROW(attention(a, a, a, {0, 1}, 1), ValueError);
  EXPECT_THROW(attention(a, a, a, {0, 2}, 2), ValueError);
  EXPECT_THROW(attention(a, a, a, {0, 1, 2}, {0, 0, 2}, 1), ValueError);
  EXPECT_THROW(attention(a, a, a, {0, 1, 2}, {0, 2}, 1), ValueError);
  Generator rng(1);
  EXPECT_THROW(dropout(a, 1.5, rng), ValueError);
  EXPECT_THROW(layer_norm(a, Tensor::zeros({2}), Tensor::zeros({2}), 1e-5), ShapeError);
}

}  // namespace
}  // namespace qing
