// Small models learn small tasks: layers, gradients and optimizers work together.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/nn/models/llama.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/ops/search.h>
#include <qing/tensor/random.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

// Gradient descent with momentum, written here because the optimizers are in a layer above this one.
class Descent {
 public:
  Descent(Module& model, double lr) : parameters_(model.parameters()), lr_(lr) {
    for (const Tensor& parameter : parameters_) velocities_.push_back(zeros_like(parameter));
  }
  void step(const Tensor& loss) {
    for (const Tensor& parameter : parameters_) zero_grad(parameter);
    backward(loss);
    const NoGradGuard guard;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      velocities_[i].copy_from(velocities_[i] * 0.9 + grad(parameters_[i]));
      parameters_[i].copy_from(detach(parameters_[i]) - velocities_[i] * lr_);
    }
  }

 private:
  std::vector<Tensor> parameters_, velocities_;
  double lr_;
};

// The share of rows whose largest logit is the target's.
double accuracy(const Tensor& logits, const Tensor& targets) {
  const Tensor chosen = argmax(detach(logits), -1);
  int64_t right = 0;
  for (int64_t i = 0; i < targets.numel(); ++i) right += chosen.data<int64_t>()[i] == targets.data<int64_t>()[i];
  return static_cast<double>(right) / static_cast<double>(targets.numel());
}

TEST(Learning, ANetworkLearnsExclusiveOr) {
  Generator rng(3);
  Sequential model(Linear(2, 8, rng), Tanh(), Linear(8, 2, rng));
  model.set_requires_grad(true);
  const Tensor x = Tensor::from<float>({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2}), y = Tensor::from<int64_t>({0, 1, 1, 0}, {4});
  Descent descent(model, 0.1);
  for (int step = 0; step < 300; ++step) descent.step(cross_entropy(model(x), y));
  EXPECT_EQ(accuracy(model(x), y), 1);
  EXPECT_LT(cross_entropy(model(x), y).item(), 0.05);
}

// Pictures of 8×8: a horizontal bar, a vertical bar or a cross, at any place, under noise.
std::pair<Tensor, Tensor> pictures(int64_t count, Generator& rng) {
  Tensor x = Tensor::empty({count, 1, 8, 8}), y = Tensor::empty({count}, DType::i64);
  rng.fill_normal(x, 0, 0.3);
  for (int64_t i = 0; i < count; ++i) {
    const auto kind = static_cast<int64_t>(rng.below(3)), row = static_cast<int64_t>(1 + rng.below(6));
    const auto column = static_cast<int64_t>(1 + rng.below(6));
    for (int64_t k = 0; k < 8; ++k) {
      if (kind != 1) x.set({i, 0, row, k}, x.at({i, 0, row, k}) + 1);
      if (kind != 0) x.set({i, 0, k, column}, x.at({i, 0, k, column}) + 1);
    }
    y.set({i}, static_cast<double>(kind));
  }
  return {x, y};
}

TEST(Learning, AConvolutionalNetworkTellsShapesApart) {
  Generator rng(5);
  Sequential model(Conv2d(1, 6, 3, rng, {.padding = 1}), BatchNorm2d(6), ReLU(), MaxPool2d(2),
                   Conv2d(6, 12, 3, rng, {.padding = 1}), ReLU(), MaxPool2d(2), Flatten(), Linear(48, 3, rng));
  model.set_requires_grad(true);
  model.train();
  Descent descent(model, 0.02);
  for (int step = 0; step < 120; ++step) {
    const auto [x, y] = pictures(32, rng);
    descent.step(cross_entropy(model(x), y));
  }
  model.eval();
  const auto [x, y] = pictures(300, rng);
  EXPECT_GT(accuracy(model(x), y), 0.95);
}

TEST(Learning, ALongShortTermMemoryCountsParity) {
  // Its products are too small for several threads, and waiting for threads of parallel tests would only slow it down.
  const int threads = num_threads();
  set_num_threads(1);
  Generator rng(7);
  LSTM lstm(1, 16, rng);
  Linear head(16, 2, rng);
  const auto bits = [&](int64_t batch) {
    Tensor x = Tensor::empty({6, batch, 1}), y = Tensor::empty({6 * batch}, DType::i64);
    for (int64_t b = 0; b < batch; ++b) {
      int64_t ones = 0;
      for (int64_t t = 0; t < 6; ++t) {
        const auto bit = static_cast<int64_t>(rng.below(2));
        ones += bit;
        x.set({t, b, 0}, static_cast<double>(bit));
        y.set({t * batch + b}, static_cast<double>(ones % 2));
      }
    }
    return std::pair{x, y};
  };
  // One module with both parts, so that one optimizer trains them.
  struct Model : Module {
    Model(LSTM& l, Linear& h) : lstm(l), head(h) {}
    void visit(Visitor& visitor) override {
      visitor.module("lstm", lstm);
      visitor.module("head", head);
    }
    Tensor forward(const Tensor& x) const { return head.forward(lstm.forward(x).output).reshape({-1, 2}); }
    LSTM& lstm;
    Linear& head;
  } model(lstm, head);
  model.set_requires_grad(true);
  Descent descent(model, 0.2);
  for (int step = 0; step < 500; ++step) {
    const auto [x, y] = bits(64);
    descent.step(cross_entropy(model.forward(x), y));
  }
  const auto [x, y] = bits(200);
  EXPECT_GT(accuracy(model.forward(x), y), 0.99);
  set_num_threads(threads);
}

LlamaConfig small_llama() {
  return {.vocab_size = 17,
          .hidden_size = 32,
          .intermediate_size = 48,
          .num_hidden_layers = 2,
          .num_attention_heads = 4,
          .num_key_value_heads = 2,
          .initializer_range = 0.1};
}

TEST(Learning, ADecoderMemorisesASequenceAndSaysIt) {
  Generator rng(9);
  LlamaForCausalLM model(small_llama(), rng);
  model.set_requires_grad(true);
  const std::vector<int64_t> sequence = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3};
  const auto n = static_cast<int64_t>(sequence.size());
  const Tensor ids = Tensor::from<int64_t>(std::span<const int64_t>(sequence), {1, n});
  const Tensor before = ids.slice(1, 0, n - 1), after = ids.slice(1, 1, n).reshape({n - 1});
  Descent descent(model, 0.05);
  for (int step = 0; step < 150; ++step) {
    descent.step(cross_entropy(model.forward(before).reshape({n - 1, 17}), after));
  }
  const Tensor said = model.generate(ids.slice(1, 0, 3), {.max_new_tokens = n - 3});
  ASSERT_EQ(said.shape(), (Shape{1, n}));
  for (int64_t i = 0; i < n; ++i) EXPECT_EQ(said.at({0, i}), static_cast<double>(sequence[i])) << i;
}

TEST(Llama, TheCacheGivesTheResultsOfTheFullComputation) {
  Generator rng(9);
  const LlamaForCausalLM model(small_llama(), rng);
  const Tensor ids = randint(0, 17, {3, 10}, rng);
  const NoGradGuard guard;
  const Tensor whole = model.forward(ids);
  LlamaCache cache = model.make_cache(3, 10);
  int64_t done = 0;
  for (const int64_t count : {4, 1, 1, 3, 1}) {
    const Tensor part = model.forward(ids.slice(1, done, done + count), cache);
    EXPECT_TRUE(allclose(part, whole.slice(1, done, done + count), 1e-5, 1e-6)) << "tokens from " << done;
    done += count;
  }
}

TEST(Llama, AClonedCacheIsIndependent) {
  Generator rng(9);
  const LlamaForCausalLM model(small_llama(), rng);
  const Tensor ids = randint(0, 17, {1, 6}, rng);
  const NoGradGuard guard;
  LlamaCache cache = model.make_cache(1, 6);
  model.forward(ids.slice(1, 0, 3), cache);
  LlamaCache other = clone(cache);
  const Tensor whole = model.forward(ids);
  EXPECT_TRUE(allclose(model.forward(ids.slice(1, 3, 4), cache), whole.slice(1, 3, 4), 1e-5, 1e-6));
  model.forward(ids.slice(1, 0, 3), other);  // would overwrite the position just written if memory were shared
  EXPECT_EQ(other[0].length(), 6);
  EXPECT_EQ(cache[0].length(), 4);
  EXPECT_TRUE(allclose(model.forward(ids.slice(1, 4, 6), cache), whole.slice(1, 4, 6), 1e-5, 1e-6));
}

TEST(Llama, RefusesWhatDoesNotFit) {
  Generator rng(9);
  LlamaConfig config = small_llama();
  config.num_attention_heads = 3;
  EXPECT_THROW(LlamaForCausalLM(config, rng), ValueError);
  for (const double bad : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    for (double LlamaConfig::*field :
         {&LlamaConfig::rms_norm_eps, &LlamaConfig::rope_theta, &LlamaConfig::initializer_range}) {
      config = small_llama();
      config.*field = bad;
      EXPECT_THROW(config.validate(), ValueError) << bad;
    }
  }
  const LlamaForCausalLM model(small_llama(), rng);
  EXPECT_THROW(model.generate(Tensor::zeros({1, 2}, DType::i64), {.temperature = 1}), ValueError);
  EXPECT_THROW(model.generate(Tensor::zeros({1, 2}, DType::i64), {.temperature = -1}, &rng), ValueError);
  EXPECT_THROW(model.forward(Tensor::full({1, 2}, 17, DType::i64)), IndexError);
}

TEST(Llama, DrawsFromTheLikeliestOnly) {
  Generator rng(9);
  const TokenSampler sampler({.temperature = 1, .top_k = 2}, &rng);
  const Tensor logits = Tensor::from<float>({0, 5, 5, 1}, {1, 4});
  int64_t seen[4] = {};
  for (int i = 0; i < 400; ++i) ++seen[sampler.draw(logits).data<int64_t>()[0]];
  EXPECT_EQ(seen[0] + seen[3], 0);
  EXPECT_NEAR(static_cast<double>(seen[1]), 200, 50);
}

TEST(Llama, RefusesToDrawFromNaN) {
  Generator rng(9);
  const Tensor logits = Tensor::from<float>({std::numeric_limits<float>::quiet_NaN(), 5, 1}, {1, 3});
  EXPECT_THROW(TokenSampler({}, nullptr).draw(logits), ValueError);
  EXPECT_THROW(TokenSampler({.temperature = 1}, &rng).draw(logits), ValueError);
  // Dividing -inf by it would give NaN, and an excluded token would be drawn.
  EXPECT_THROW(TokenSampler({.temperature = std::numeric_limits<double>::infinity()}, &rng), ValueError);
}

}  // namespace
}  // namespace qing::nn
