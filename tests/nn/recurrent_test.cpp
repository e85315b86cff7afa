#include <qing/nn/layers/rnn.h>

#include <gtest/gtest.h>

#include <cstring>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/threads.h>

#include "nn/normal_tensor.h"
#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;
using test::normal;

void expect_same(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(to_string(a.shape()), to_string(b.shape()));
  const Tensor left = detach(a).contiguous(), right = detach(b).contiguous();
  const auto bytes = static_cast<size_t>(a.numel()) * sizeof(float);
  EXPECT_EQ(std::memcmp(left.data<float>(), right.data<float>(), bytes), 0);
}

constexpr RecurrentOptions kDeep{.num_layers = 2, .batch_first = true, .bidirectional = true};

TEST(Recurrent, ShapesFollowTheLayout) {
  Generator rng(1);
  const LSTM time_first(3, 4, rng), batch_first(3, 4, rng, kDeep);
  const auto a = time_first.forward(normal({5, 2, 3}, rng));
  EXPECT_EQ(a.output.shape(), (Shape{5, 2, 4}));
  EXPECT_EQ(a.state.c.shape(), (Shape{1, 2, 4}));
  const auto b = batch_first.forward(normal({2, 5, 3}, rng));
  EXPECT_EQ(b.output.shape(), (Shape{2, 5, 8}));
  EXPECT_EQ(b.state.h.shape(), (Shape{4, 2, 4}));
}

TEST(Recurrent, ARaggedBatchGivesEachSequenceTheBitsItHasAlone) {
  Generator rng(2);
  const LSTM lstm(3, 4, rng, kDeep);
  const GRU gru(3, 4, rng, kDeep);
  const Offsets offsets = {0, 2, 7, 7, 8, 12};
  const Tensor x = normal({12, 3}, rng);
  for (const Recurrent* layer : {static_cast<const Recurrent*>(&lstm), static_cast<const Recurrent*>(&gru)}) {
    const auto together = layer->forward(x, offsets);
    for (int64_t s = 0; s < 5; ++s) {
      if (s == 2) continue;  // empty
      const Tensor own = x.slice(0, offsets[s], offsets[s + 1]);
      const auto alone = layer->forward(own.unsqueeze(0));
      expect_same(together.output.slice(0, offsets[s], offsets[s + 1]), alone.output.squeeze(0));
      expect_same(together.state.h.slice(1, s, s + 1), alone.state.h);
    }
    expect_same(together.state.h.select(1, 2), Tensor::zeros({4, 4}));
  }
}

TEST(Recurrent, StatesCarryASequenceOn) {
  Generator rng(3);
  const LSTM layer(3, 4, rng, {.num_layers = 2});
  const Tensor x = normal({6, 2, 3}, rng);
  const auto whole = layer.forward(x);
  const auto first = layer.forward(x.slice(0, 0, 4));
  const auto second = layer.forward(x.slice(0, 4, 6), first.state);
  expect_same(second.output, whole.output.slice(0, 4, 6));
  expect_same(second.state.c, whole.state.c);
}

TEST(Recurrent, AnEmptySequenceKeepsItsInitialState) {
  Generator rng(4);
  const GRU layer(3, 4, rng);
  const RecurrentState initial{.h = normal({1, 2, 4}, rng)};
  const auto result = layer.forward(normal({3, 3}, rng), Offsets{0, 0, 3}, initial);
  expect_same(result.state.h.select(1, 0), initial.h.select(1, 0));
  EXPECT_EQ(layer.forward(Tensor::zeros({0, 3}), Offsets{0, 0}).output.shape(), (Shape{0, 4}));
}

TEST(Recurrent, GradientsFlowToEveryParameterAndState) {
  Generator rng(5);
  LSTM layer(3, 4, rng, kDeep);
  layer.unfreeze();
  Tensor x = normal({7, 3}, rng), h = normal({4, 3, 4}, rng), c = normal({4, 3, 4}, rng);
  set_requires_grad(x), set_requires_grad(h), set_requires_grad(c);
  backward(sum(layer.forward(x, Offsets{0, 4, 5, 7}, {h, c}).output));
  for (const auto& [name, parameter] : layer.named_parameters()) EXPECT_TRUE(grad(parameter).defined()) << name;
  EXPECT_TRUE(grad(x).defined() && grad(h).defined() && grad(c).defined());
}

TEST(Recurrent, DropoutStandsBetweenLayersInTrainingOnly) {
  Generator rng(6);
  LSTM layer(3, 4, rng, {.num_layers = 2, .dropout = 0.5});
  LSTM single(3, 4, rng, {.dropout = 0.5});
  const Tensor x = normal({5, 2, 3}, rng);
  expect_same(layer.forward(x, {}, &rng).output, layer.forward(x).output);
  layer.train(), single.train();
  EXPECT_NE(to_string(layer.forward(x, {}, &rng).output), to_string(layer.forward(x, {}, &rng).output));
  EXPECT_NE(message_of<ValueError>([&] { layer.forward(x); }).find("LSTM: training mode"), std::string::npos);
  expect_same(single.forward(x, {}, &rng).output,
              single.forward(x, {}, &rng).output);  // dropout acts only between layers
}

TEST(Recurrent, GivesTheSameBitsForAnyNumberOfThreads) {
  Generator rng(7);
  GRU layer(16, 24, rng, kDeep);
  layer.unfreeze();
  const Tensor x = normal({20, 9, 16}, rng);
  const auto run = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    layer.zero_grad();
    const Tensor y = layer.forward(x).output;
    backward(sum(y * y));
    set_num_threads(before);
    return std::pair{detach(y), grad(layer.get_parameter("weight_hh_l0_reverse")).clone()};
  };
  const auto one = run(1), two = run(2);
  expect_same(one.first, two.first);
  expect_same(one.second, two.second);
}

TEST(Recurrent, RefusesMismatchesByName) {
  Generator rng(8);
  const GRU layer(3, 4, rng);
  EXPECT_NE(message_of<ShapeError>([&] {
              layer.forward(Tensor::zeros({5, 2, 4}));
            }).find("GRU: x [5, 2, 4]"),
            std::string::npos);
  EXPECT_NE(message_of<ShapeError>([&] {
              layer.forward(Tensor::zeros({5, 2, 3}), {.h = Tensor::zeros({1, 3, 4})});
            }).find("GRU: initial h is [1, 3, 4], needs [1, 2, 4]"),
            std::string::npos);
  EXPECT_THROW(layer.forward(Tensor::zeros({5, 3}), Offsets{0, 4}), ValueError);
  EXPECT_THROW(GRU(0, 4, rng), ValueError);
  EXPECT_THROW(LSTM(3, 4, rng, {.num_layers = 0}), ValueError);
  EXPECT_THROW(RNN(3, 4, rng, {.dropout = 1}), ValueError);
}

}  // namespace
}  // namespace qing::nn
