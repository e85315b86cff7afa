#include <qing/autograd/autocast.h>

#include <gtest/gtest.h>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/errors.h>

#include "autograd/naive.h"

namespace qing::test {
namespace {

Tensor leaf(Shape shape, uint64_t seed, DType dtype = DType::f32) {
  Tensor x = normal(std::move(shape), seed, dtype);
  return set_requires_grad(x);
}

double difference(const Tensor& a, const Tensor& b) {
  return largest_difference(a.alias().to(DType::f64), b.alias().to(DType::f64));
}

Tensor rounded(const Tensor& x) { return x.alias().to(DType::bf16).to(DType::f64); }

class Autocast : public ::testing::Test {
 protected:
  Tensor x_ = leaf({2, 9, 70}, 1), weight_ = leaf({33, 70}, 2), bias_ = leaf({33}, 3),
         up_ = normal({2, 9, 33}, 4, DType::f32);

  std::vector<Tensor> results(const Tensor& y) const {
    std::vector<Tensor> all = gradients(y, {x_, weight_, bias_}, {.gradient = up_});
    all.push_back(y.alias());
    return all;
  }
};

// The operands of all three products are rounded, the sums are not.
TEST_F(Autocast, LinearLayersMultiplyRoundedOperandsForwardAndBackward) {
  Tensor y;
  {
    const AutocastGuard guard;
    y = linear(x_, weight_, bias_);
  }
  const std::vector<Tensor> got = results(y);  // backward runs outside the guard
  const Tensor in = rounded(x_).reshape({18, 70}), w = rounded(weight_), dy = rounded(up_).reshape({18, 33});
  const auto near = [](const Tensor& a, const Tensor& want) {
    EXPECT_LT(difference(a.reshape(want.shape()), want), 2e-5);
  };
  near(got[0], matmul(dy, w));
  near(got[1], matmul(dy.transpose(0, 1), in));
  near(got[2], sum(up_.to(DType::f64).reshape({18, 33}), {0}));
  near(got[3], linear(in, w, bias_.alias().to(DType::f64)));
  EXPECT_GT(difference(got[3], linear(x_, weight_, bias_)), 1e-4) << "f32 would pass as well";
}

TEST_F(Autocast, EveryLinearOperationIsTheSameProduct) {
  const AutocastGuard guard;
  const Tensor y = linear(x_, weight_, bias_);
  EXPECT_TRUE(same_bits(linear_joined(x_, {weight_, weight_}, {bias_, bias_}).slice(2, 33, 66), y));
  EXPECT_LT(difference(linear_gelu(x_, weight_, bias_), gelu(y)), 1e-6);
}

TEST_F(Autocast, AffectsOnlyF32DuringTheLifeOfTheGuard) {
  const Tensor plain = linear(x_, weight_, bias_);
  {
    const AutocastGuard guard;
    EXPECT_EQ(autocast_dtype(), DType::bf16);
    const AutocastGuard off(DType::f32);
    EXPECT_TRUE(same_bits(linear(x_, weight_, bias_), plain));
  }
  EXPECT_EQ(autocast_dtype(), DType::f32);
  EXPECT_TRUE(same_bits(linear(x_, weight_, bias_), plain));
  const Tensor wide = normal({3, 4}, 5), w = normal({2, 4}, 6), exact = linear(wide, w);
  const AutocastGuard guard;
  EXPECT_TRUE(same_bits(linear(wide, w), exact));
  EXPECT_THROW(AutocastGuard(DType::f16), DTypeError);
}

TEST_F(Autocast, BitsDoNotDependOnThreads) {
  const AutocastGuard guard;
  expect_same_bits_on_threads([&] { return results(linear_gelu(x_, weight_, bias_)); });
}

}  // namespace
}  // namespace qing::test
