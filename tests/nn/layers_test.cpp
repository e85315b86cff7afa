#include <qing/nn/layers/layers.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/autograd/ops/gradient_checkpoint.h>

#include "autograd/naive.h"
#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;

TEST(Layers, LinearWithAndWithoutBias) {
  Generator rng(1);
  const Linear with(3, 2, rng);
  Linear without(3, 2, rng, {.bias = false});
  EXPECT_EQ(with.forward(Tensor::zeros({4, 5, 3})).shape(), (Shape{4, 5, 2}));
  EXPECT_EQ(without.named_parameters().size(), 1u);
  EXPECT_EQ(to_string(without.forward(Tensor::zeros({1, 3}))), to_string(Tensor::zeros({1, 2})));
  EXPECT_THROW(with.forward(Tensor::zeros({4, 4})), ShapeError);
  EXPECT_NE(message_of<ValueError>([&] { Linear(-1, 2, rng); }).find("Linear: in_features is -1"), std::string::npos);
}

TEST(Layers, PackedLinearGivesTheSameBitsUntilItsWeightChanges) {
  Generator rng(1);
  Sequential model(Linear(70, 45, rng), Linear(45, 3, rng, {.bias = false}));
  for (const int64_t rows : {1, 4, 30}) {
    Tensor x = Tensor::empty({rows, 2, 70});
    rng.fill_normal(x, 0, 1);
    const auto results = [&] {
      const NoGradGuard guard;
      auto& first = dynamic_cast<Linear&>(model.get_submodule("0"));
      return std::vector<Tensor>{model.forward(x), first.forward_gelu(x.transpose(0, 1))};
    };
    const auto expect_equal = [](const std::vector<Tensor>& got, const std::vector<Tensor>& want) {
      for (size_t i = 0; i < got.size(); ++i) {
        const auto a = got[i].span<float>(), b = want[i].span<float>();
        EXPECT_TRUE(got[i].shape() == want[i].shape() && std::equal(a.begin(), a.end(), b.begin(), b.end())) << i;
      }
    };
    const auto before = results();
    pack_linear_layers(model);
    expect_equal(results(), before);

    model.get_parameter("0.weight").add_(1);
    const auto moved = results();
    EXPECT_NE(moved[0].data<float>()[0], before[0].data<float>()[0]);
    pack_linear_layers(model);
    expect_equal(results(), moved);
  }
  EXPECT_THROW(
      {
        const NoGradGuard guard;
        model.forward(Tensor::zeros({2, 3}));
      },
      ShapeError);
  model.to(DType::f64);
  const NoGradGuard guard;
  EXPECT_EQ(model.forward(Tensor::zeros({2, 70}, DType::f64)).dtype(), DType::f64);
}

TEST(Layers, LinearPackedInFewerBitsIsNearTheFullOneAndRowsDoNotMeet) {
  const NoGradGuard guard;
  Generator rng(7);
  Linear layer(70, 45, rng);
  Tensor x = Tensor::empty({30, 70});
  rng.fill_normal(x, 0, 1);
  const Tensor full = layer.forward(x), full_gelu = layer.forward_gelu(x);
  const auto furthest = [](const Tensor& a, const Tensor& b) { return max(abs(a - b)).item(); };
  for (const auto& [precision, least, most] : {std::tuple{DType::bf16, 1e-5, 0.02}, {DType::i8, 1e-5, 0.05}}) {
    layer.pack(precision);
    const Tensor y = layer.forward(x);
    EXPECT_GT(furthest(y, full), least) << name_of(precision);
    EXPECT_LT(furthest(y, full), most) << name_of(precision);
    EXPECT_LT(furthest(layer.forward_gelu(x), full_gelu), 1.2 * most) << name_of(precision);
    EXPECT_EQ(furthest(layer.forward_gelu(x), gelu(y)), 0) << name_of(precision);
    for (int64_t i = 0; i < 30; ++i) EXPECT_EQ(furthest(layer.forward(x.slice(0, i, i + 1)), y.slice(0, i, i + 1)), 0);
    layer.get_parameter("weight").add_(0);  // written: what was packed is not it any more
    EXPECT_EQ(furthest(layer.forward(x), full), 0) << name_of(precision);
  }
  EXPECT_NE(message_of<ValueError>([&] { layer.pack(DType::f64); }).find("Linear::pack: f64"), std::string::npos);
}

TEST(Layers, JoinedOutputsAreThoseOfTheLayers) {
  Generator rng(8);
  Linear a(20, 5, rng), b(20, 40, rng), c(20, 1, rng);
  Tensor x = Tensor::empty({3, 4, 20});
  rng.fill_normal(x, 0, 1);
  const std::array layers = {&a, &b, &c};
  const auto expect_parts = [&] {
    const Tensor joined = forward_joined(x, layers);
    ASSERT_EQ(joined.shape(), (Shape{3, 4, 46}));
    int64_t at = 0;
    for (const Linear* layer : layers) {
      const Tensor part = layer->forward(x), of_joined = joined.slice(-1, at, at + part.size(-1));
      EXPECT_EQ(max(abs(part - of_joined)).item(), 0);
      at += part.size(-1);
    }
  };
  expect_parts();
  const NoGradGuard guard;
  for (const DType precision : {DType::f32, DType::bf16, DType::i8}) {
    for (Linear* layer : layers) layer->pack(precision);
    expect_parts();
  }
  EXPECT_EQ(forward_joined(Tensor::zeros({0, 20}), layers).shape(), (Shape{0, 46}));
  EXPECT_THROW(forward_joined(Tensor::zeros({2, 19}), layers), ShapeError);
  Linear narrow(19, 5, rng);
  EXPECT_THROW(forward_joined(x, std::array<const Linear*, 2>{&a, &narrow}), ShapeError);
}

TEST(Layers, GeluBetweenTwoLayersIsTheirCompositionOrNearItInFewerBits) {
  Generator rng(9);
  Linear wide(20, 50, rng), narrow(50, 12, rng), unfit(49, 12, rng);
  Tensor x = Tensor::empty({3, 4, 20});
  rng.fill_normal(x, 0, 1);
  const auto furthest = [](const Tensor& a, const Tensor& b) { return max(abs(a - b)).item(); };
  const auto composed = [&] { return narrow.forward(wide.forward_gelu(x)); };
  EXPECT_EQ(furthest(forward_gelu_through(x, wide, narrow), composed()), 0);
  const NoGradGuard guard;
  const Tensor full = composed();
  wide.pack(), narrow.pack();
  EXPECT_EQ(furthest(forward_gelu_through(x, wide, narrow), composed()), 0);
  wide.pack(DType::bf16), narrow.pack(DType::bf16);
  EXPECT_LT(furthest(forward_gelu_through(x, wide, narrow), composed()), 0.002);
  wide.pack(DType::i8);
  EXPECT_EQ(furthest(forward_gelu_through(x, wide, narrow), composed()), 0);  // narrow is in bf16
  narrow.pack(DType::i8);
  const Tensor y = forward_gelu_through(x, wide, narrow);
  EXPECT_EQ(y.shape(), (Shape{3, 4, 12}));
  EXPECT_LT(furthest(y, composed()), 0.01);
  EXPECT_LT(furthest(y, full), 0.05);
  EXPECT_GT(furthest(y, full), 1e-5);
  EXPECT_EQ(forward_gelu_through(Tensor::zeros({0, 20}), wide, narrow).shape(), (Shape{0, 12}));
  unfit.pack(DType::i8);
  EXPECT_THROW(forward_gelu_through(x, wide, unfit), ShapeError);
  EXPECT_THROW(forward_gelu_through(Tensor::zeros({2, 19}), wide, narrow), ShapeError);
  narrow.get_parameter("weight").add_(0);  // written: what was packed is not it any more
  EXPECT_EQ(furthest(forward_gelu_through(x, wide, narrow), composed()), 0);
  narrow.pack(DType::i8);
  narrow.add_lora(2, 4, rng);
  EXPECT_EQ(furthest(forward_gelu_through(x, wide, narrow), composed()), 0);
}

TEST(Layers, PackedLinearStillRecordsGradients) {
  Generator rng(1);
  Linear layer(5, 4, rng);
  layer.pack();
  layer.unfreeze();
  backward(sum(layer.forward(Tensor::full({2, 5}, 1))));
  EXPECT_EQ(to_string(grad(layer.weight())), to_string(Tensor::full({4, 5}, 2)));
}

TEST(Layers, BilinearEqualsItsDefinition) {
  Generator rng(2);
  Bilinear layer(3, 4, 2, rng);
  layer.unfreeze();
  Tensor a = Tensor::empty({5, 3}), b = Tensor::empty({5, 4});
  rng.fill_normal(a, 0, 1);
  rng.fill_normal(b, 0, 1);
  const Tensor y = layer.forward(a, b);
  const StateDict state = layer.state_dict();
  const float* w = state.at("weight").data<float>();
  for (int64_t n = 0; n < 5; ++n) {
    for (int64_t o = 0; o < 2; ++o) {
      double expected = state.at("bias").data<float>()[o];
      for (int64_t i = 0; i < 3; ++i) {
        for (int64_t j = 0; j < 4; ++j) {
          expected += double(a.data<float>()[n * 3 + i]) * w[(o * 3 + i) * 4 + j] * b.data<float>()[n * 4 + j];
        }
      }
      EXPECT_NEAR(y.data<float>()[n * 2 + o], expected, 1e-5);
    }
  }
  backward(sum(y));
  EXPECT_TRUE(grad(layer.get_parameter("weight")).defined());
  EXPECT_THROW(layer.forward(a, a), ShapeError);
  EXPECT_THROW(layer.forward(a, Tensor::zeros({6, 4})), ShapeError);
}

TEST(Layers, EmbeddingsPaddingRowIsZeroAndStaysSo) {
  Generator rng(1);
  Embedding table(5, 3, rng, {.padding_idx = -1});
  table.unfreeze();
  const Tensor ids = Tensor::from<int64_t>({4, 0, 4, 1}, {2, 2});
  const Tensor y = table.forward(ids);
  EXPECT_EQ(y.shape(), (Shape{2, 2, 3}));
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(y.data<float>()[i], 0);
  backward(sum(y));
  const auto gradient = grad(table.weight()).span<float>();
  EXPECT_EQ(gradient[0], 1);
  EXPECT_EQ(gradient[4 * 3], 0);
  EXPECT_THROW(Embedding(5, 3, rng, {.padding_idx = 5}), IndexError);
  EXPECT_THROW(table.forward(Tensor::from<int64_t>({5}, {1})), IndexError);
}

TEST(Layers, EmbeddingBagHasItsTableAndPassesPaddingOver) {
  Generator rng(1);
  EmbeddingBag bag(5, 3, rng, {.mode = BagMode::sum, .padding_idx = -1});
  ASSERT_EQ(bag.named_parameters().size(), 1U);
  EXPECT_EQ(bag.named_parameters()[0].first, "weight");
  bag.unfreeze();
  const Tensor y = bag.forward(Tensor::from<int64_t>({4, 0, 0, 4}, {2, 2}));
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(y.data<float>()[i], bag.weight().data<float>()[i % 3]);
  backward(sum(y));
  EXPECT_EQ(grad(bag.weight()).at({0, 0}), 2);
  EXPECT_EQ(grad(bag.weight()).at({4, 0}), 0);
  EXPECT_EQ(bag.weight().at({4, 0}), 0);
  EXPECT_THROW(EmbeddingBag(5, 3, rng, {.padding_idx = 5}), IndexError);
  EXPECT_THROW(EmbeddingBag(-1, 3, rng), ValueError);
}

TEST(Layers, InstanceNormTracksStatisticsOnRequest) {
  Generator rng(2);
  Tensor x = Tensor::empty({2, 3, 4});
  rng.fill_normal(x, 5, 2);
  InstanceNorm1d plain(3);
  EXPECT_TRUE(plain.state_dict().empty());
  InstanceNorm1d norm(3, {.affine = true, .track_running_stats = true});
  EXPECT_EQ(norm.state_dict().size(), 5U);
  norm.train();
  norm(x);
  const StateDict state = norm.state_dict();
  EXPECT_EQ(state.at("num_batches_tracked").item(), 0);
  for (int64_t c = 0; c < 3; ++c) {
    const Tensor channel = x.slice(1, c, c + 1);
    EXPECT_NEAR(state.at("running_mean").at({c}), 0.1 * mean(channel).item(), 1e-6);
    EXPECT_NEAR(state.at("running_var").at({c}), 0.9 + 0.1 * mean(var(channel, {1, 2})).item(), 1e-5);
  }
  norm.eval();
  EXPECT_FALSE(to_string(norm(x)) == to_string(plain(x)));
  EXPECT_NE(message_of<ShapeError>([&] {
              plain(Tensor::zeros({2, 4, 4}));
            }).find("InstanceNorm1d: x [2, 4, 4]"),
            std::string::npos);
  EXPECT_THROW(plain(Tensor::zeros({3})), ShapeError);
  EXPECT_THROW(plain(Tensor::zeros({3, 1})), ValueError);
}

TEST(Layers, ActivationsAreTheirOperations) {
  const Tensor x = Tensor::from<float>({-2, -0.5, 0, 0.5, 2, 3}, {2, 3});
  EXPECT_EQ(to_string(ReLU()(x)), to_string(relu(x)));
  EXPECT_EQ(to_string(GELU()(x)), to_string(gelu(x)));
  EXPECT_EQ(to_string(Tanh()(x)), to_string(tanh(x)));
  EXPECT_EQ(to_string(Sigmoid()(x)), to_string(sigmoid(x)));
  EXPECT_EQ(to_string(Softmax()(x)), to_string(softmax(x)));
  EXPECT_EQ(ReLU().type_name(), "ReLU");
}

TEST(Layers, PReLUHasASlopeForEveryChannelBelowZero) {
  Tensor x = Tensor::from<float>({-2, 4, 0, -1, 3, -8}, {1, 3, 2});
  set_requires_grad(x);
  EXPECT_EQ(to_string(PReLU()(x)), to_string(leaky_relu(x, 0.25)));
  PReLU prelu(3);
  prelu.set_requires_grad(true);
  Tensor weight = prelu.parameters().at(0);
  {
    const NoGradGuard guard;
    weight.copy_from(Tensor::of({0.5, 2, -1}));
  }
  const Tensor y = prelu(x);
  EXPECT_EQ(to_string(detach(y)), to_string(Tensor::of({-1, 4, 0, -2, 3, 8}).reshape({1, 3, 2})));
  backward(sum(y));
  EXPECT_EQ(to_string(grad(weight)), to_string(Tensor::of({-2, -1, -8})));
  EXPECT_EQ(to_string(grad(x)), to_string(Tensor::of({0.5, 1, 2, 2, 1, -1}).reshape({1, 3, 2})));
  EXPECT_NE(message_of<ShapeError>([&] {
              prelu(Tensor::zeros({2, 4}));
            }).find("x [2, 4] needs 3 channels"),
            std::string::npos);
  EXPECT_THROW(PReLU(0), ValueError);
}

TEST(Layers, RefuseBadArgumentsByName) {
  EXPECT_NE(message_of<ValueError>([] { Dropout(1.5); }).find("Dropout: probability 1.5"), std::string::npos);
  EXPECT_THROW(Dropout(-0.5), ValueError);
  EXPECT_NO_THROW(Dropout(1));  // like PyTorch
  EXPECT_NE(message_of<ValueError>([] { LayerNorm(0); }).find("LayerNorm: width is 0"), std::string::npos);
}

TEST(Layers, BatchesOfACheckpointAreCountedOnce) {
  BatchNorm1d plain(3), lean(3);
  plain.train();
  lean.train();
  Tensor x = Tensor::empty({6, 3});
  Generator rng(5);
  rng.fill_normal(x, 1, 2);
  set_requires_grad(x);
  for (int step = 0; step < 2; ++step) {
    backward(sum(exp(plain.forward(x))));
    const auto forward = [&](const std::vector<Tensor>& in) { return lean.forward(in[0]); };
    backward(sum(exp(checkpoint(forward, {x}))));
  }
  const auto expected = plain.named_buffers(), got = lean.named_buffers();
  ASSERT_EQ(expected.size(), 3U);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(test::same_bits(got[i].second.to(DType::f64), expected[i].second.to(DType::f64))) << expected[i].first;
  }
  EXPECT_EQ(got[2].second.item(), 2);
}

}  // namespace
}  // namespace qing::nn
