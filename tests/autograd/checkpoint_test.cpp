// Functions that backward computes a second time have the same gradients and no repeated side effects.
#include <gtest/gtest.h>

#include <cmath>

#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/autograd/ops/gradient_checkpoint.h>
#include <qing/tensor/allocator.h>

#include "autograd/naive.h"
#include "autograd/variable.h"

namespace qing::test {
namespace {

Tensor leaf(Shape shape, uint64_t seed) {
  Tensor x = normal(std::move(shape), seed, DType::f32);
  return set_requires_grad(x);
}

TEST(Checkpoint, GivesTheGradientsOfCapturedLeavesToo) {
  Tensor x = Tensor::from<double>({1, 2, 3}, {3}), w = Tensor::from<double>({0.5, -1, 2}, {3});
  set_requires_grad(x);
  set_requires_grad(w);
  const auto f = [&](const std::vector<Tensor>& in) { return tanh(in[0] * w); };
  backward(sum(f({x})));
  const Tensor plain_x = grad(x).clone(), plain_w = grad(w).clone();
  zero_grad(x);
  zero_grad(w);
  backward(sum(checkpoint(f, {x})));
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_DOUBLE_EQ(grad(x).data<double>()[i], plain_x.data<double>()[i]);
    EXPECT_DOUBLE_EQ(grad(w).data<double>()[i], plain_w.data<double>()[i]);
  }
}

TEST(Checkpoint, OfAFunctionWithoutInputsThatRequireGradients) {
  Tensor w = Tensor::full({2}, 3, DType::f64);
  set_requires_grad(w);
  backward(
      sum(checkpoint([&](const std::vector<Tensor>& in) { return in[0] * w; }, {Tensor::full({2}, 5, DType::f64)})));
  EXPECT_DOUBLE_EQ(grad(w).data<double>()[0], 5);
}

TEST(Checkpoint, DrawsTheSameMaskBothTimesAndLeavesTheGeneratorAhead) {
  Tensor x = Tensor::full({1000}, 1);
  set_requires_grad(x);
  Generator rng(3);
  const Tensor y = checkpoint([&](const std::vector<Tensor>& in) { return dropout(in[0], 0.5, rng); }, {x}, &rng);
  EXPECT_EQ(rng.stream(), 1U);
  rng.next_stream();
  backward(sum(y));
  EXPECT_EQ(rng.stream(), 2U);
  for (int64_t i = 0; i < 1000; ++i) EXPECT_EQ(grad(x).data<float>()[i], y.data<float>()[i]);
}

TEST(Checkpoint, KeepsLessForBackward) {
  Tensor x = Tensor::full({1 << 18}, 0.5);
  set_requires_grad(x);
  const auto deep = [](const std::vector<Tensor>& in) {
    Tensor h = in[0];
    for (int i = 0; i < 8; ++i) h = tanh(h);
    return h;
  };
  const size_t before = memory_stats().current_bytes;
  const Tensor plain = deep({x});
  const size_t kept = memory_stats().current_bytes - before;
  const Tensor lean = checkpoint(deep, {x});
  const size_t kept_lean = memory_stats().current_bytes - before - kept;
  EXPECT_GE(kept, size_t{8} << 20);
  EXPECT_LE(kept_lean, size_t{1} << 20);
}

TEST(Checkpoint, MayCaptureAResultThatIsUsedElsewhere) {
  const Tensor x = variable(2), w = variable(0.5);
  const Tensor h = exp(w);
  const Tensor a = h * h;
  const Tensor b = checkpoint([&](const std::vector<Tensor>& in) { return in[0] * h; }, {x});
  backward(a + b);  // e^{2w} + x·e^w
  EXPECT_NEAR(grad(w).item(), 2 * std::exp(1.0) + 2 * std::exp(0.5), 1e-12);
  EXPECT_NEAR(grad(x).item(), std::exp(0.5), 1e-12);
}

TEST(Checkpoint, RefusesGradients) {
  const Tensor x = variable(1);
  const Tensor y = checkpoint([](const std::vector<Tensor>& in) { return exp(in[0]); }, {x});
  EXPECT_THROW(gradients(y, {x}), AutogradError);
}

// backward() runs outside the guard, where a recomputed product would be in f32.
TEST(Checkpoint, ComputesAgainInThePrecisionOfTheFirstTime) {
  const Tensor x = leaf({9, 70}, 1), first = leaf({33, 70}, 2), second = leaf({5, 33}, 3), up = normal({9, 5}, 4);
  const auto f = [&](const std::vector<Tensor>& in) { return linear(linear(in[0], first, {}), second, {}); };
  const auto gradients_of = [&](bool lean, DType precision) {
    Tensor y;
    {
      const AutocastGuard guard(precision);
      y = lean ? checkpoint(f, {x}) : f({x});
    }
    backward(sum(y * up.to(DType::f32)));
    std::vector<Tensor> all;
    for (const Tensor& parameter : {x, first, second}) {
      all.push_back(grad(parameter).clone());
      zero_grad(parameter);
    }
    return all;
  };
  const auto plain = gradients_of(false, DType::bf16), lean = gradients_of(true, DType::bf16),
             exact = gradients_of(true, DType::f32);
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_TRUE(same_bits(lean[i], plain[i])) << i;
    EXPECT_FALSE(same_bits(exact[i], plain[i])) << "f32 would pass as well: " << i;
  }
  EXPECT_EQ(autocast_dtype(), DType::f32);
}

TEST(Checkpoint, RunningStatisticsAreUpdatedOnce) {
  const Tensor x = leaf({6, 3, 4}, 1);
  const auto statistics = [&](bool lean, bool of_instances) {
    const Tensor mean = Tensor::zeros({3}), variance = Tensor::full({3}, 1);
    int calls = 0;
    const auto f = [&](const std::vector<Tensor>& in) {
      EXPECT_EQ(recomputing(), calls++ > 0);
      return of_instances ? instance_norm(in[0], mean, variance, {}, {})
                          : batch_norm(in[0], mean, variance, {}, {}, true);
    };
    // A checkpoint within another is computed three times.
    const auto inner = [&](const std::vector<Tensor>& in) { return lean ? checkpoint(f, in) : f(in); };
    const Tensor y = lean ? checkpoint(inner, {x}) : inner({x});
    backward(sum(y * y * y));
    Tensor slope = grad(x).clone();
    zero_grad(x);
    EXPECT_FALSE(recomputing());
    EXPECT_EQ(calls, lean ? 3 : 1);
    return std::vector{mean, variance, slope};
  };
  for (const bool of_instances : {false, true}) {
    const auto plain = statistics(false, of_instances), lean = statistics(true, of_instances);
    for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(same_bits(plain[i], lean[i])) << of_instances << i;
  }
}

}  // namespace
}  // namespace qing::test
