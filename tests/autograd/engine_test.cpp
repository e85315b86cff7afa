#include <gtest/gtest.h>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/allocator.h>

#include "autograd/variable.h"

namespace qing {
namespace {

using test::variable;

TEST(Backward, SumsOverAllPaths) {
  const Tensor x = variable(3);
  const Tensor square = x * x;
  backward(square * x + square);  // x³ + x²
  EXPECT_DOUBLE_EQ(grad(x).item(), 27 + 6);
}

TEST(Backward, AccumulatesUntilZeroed) {
  const Tensor x = variable(2);
  backward(x * x);
  backward(x * x);
  EXPECT_DOUBLE_EQ(grad(x).item(), 8);
  zero_grad(x);
  EXPECT_FALSE(grad(x).defined());
  backward(x * x);
  EXPECT_DOUBLE_EQ(grad(x).item(), 4);
}

TEST(Backward, OfALeafIsTheSeed) {
  const Tensor x = variable(2);
  backward(x);
  EXPECT_DOUBLE_EQ(grad(x).item(), 1);
}

TEST(Backward, WritesIntoAGivenBuffer) {
  const Tensor x = variable(2);
  const Tensor arena = Tensor::zeros({4}, DType::f64);
  set_grad_buffer(x, arena.slice(0, 2, 3).reshape({}));
  backward(x * x);
  EXPECT_DOUBLE_EQ(arena.data<double>()[2], 4);
  EXPECT_THROW(set_grad_buffer(x, Tensor::zeros({2}, DType::f64)), ShapeError);
}

TEST(Backward, MillionNodesNeitherRecurseNorOverflow) {
  const Tensor x = variable(1);
  Tensor y = x + x;
  for (int i = 0; i < 1'000'000; ++i) y = neg(y);
  backward(y);
  EXPECT_DOUBLE_EQ(grad(x).item(), 2);
  y = Tensor();  // destruction is iterative too
}

TEST(Backward, DestroysAMillionNodesWithoutHavingRun) {
  const Tensor x = variable(1);
  Tensor y = neg(x);
  for (int i = 0; i < 1'000'000; ++i) y = neg(y);
  y = Tensor();
  EXPECT_FALSE(grad(x).defined());
}

TEST(Backward, TwiceNeedsRetainGraph) {
  const Tensor x = variable(2);
  const Tensor y = x * x;
  backward(y, {.retain_graph = true});
  backward(y);
  EXPECT_DOUBLE_EQ(grad(x).item(), 8);
  EXPECT_THROW(backward(y), AutogradError);
}

TEST(Backward, FreesWhatWasSaved) {
  Tensor x = Tensor::zeros({1 << 20});
  set_requires_grad(x);
  const Tensor y = sum(gelu(gelu(gelu(x))));
  const size_t before = memory_stats().current_bytes;
  backward(y);
  // Two results were saved for backward. They are freed, and the gradient of x is allocated.
  EXPECT_LE(memory_stats().current_bytes + (size_t{4} << 20), before);
}

TEST(Backward, RefusesAStaleSavedTensorByName) {
  const Tensor x = variable(2);
  Tensor y = x * x;
  const Tensor z = exp(y);
  Tensor saved = z;
  saved.fill(0);
  try {
    backward(z);
    FAIL() << "the result of exp was overwritten";
  } catch (const AutogradError& error) {
    EXPECT_NE(std::string(error.what()).find("exp"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(grad(x).defined());
}

TEST(Backward, ErrorsSayWhy) {
  const Tensor plain = Tensor::zeros({2});
  EXPECT_THROW(backward(plain), AutogradError);
  Tensor x = Tensor::zeros({2});
  set_requires_grad(x);
  EXPECT_THROW(backward(neg(x)), AutogradError);
  EXPECT_THROW(backward(neg(x), {.gradient = Tensor::zeros({3})}), ShapeError);
  EXPECT_THROW(backward(neg(x), {.gradient = Tensor::zeros({2}, DType::f64)}), DTypeError);
  Tensor index = Tensor::zeros({2}, DType::i64);
  EXPECT_THROW(set_requires_grad(index), DTypeError);
  Tensor y = neg(x);
  EXPECT_THROW(set_requires_grad(y, false), AutogradError);
}

TEST(NoGrad, RecordsNothing) {
  const Tensor x = variable(2);
  {
    const NoGradGuard guard;
    EXPECT_FALSE(requires_grad(x * x));
    EXPECT_FALSE(grad_enabled());
  }
  EXPECT_TRUE(requires_grad(x * x));
}

TEST(Detach, SharesElementsOutsideTheGraph) {
  const Tensor x = variable(2);
  const Tensor y = detach(x * x);
  EXPECT_FALSE(requires_grad(y));
  backward(x * y);
  EXPECT_DOUBLE_EQ(grad(x).item(), 4);
}

TEST(Leaf, GradientsAreNotSharedBetweenLeaves) {
  const Tensor a = variable(1), b = variable(1);
  backward(a + b);
  Tensor first = grad(a);
  first.fill(7);
  EXPECT_DOUBLE_EQ(grad(b).item(), 1);
}

TEST(Views, ARecordedViewLeavesItsSourceALeaf) {
  const Tensor x = variable(3);
  const Tensor y = reshape(x, {}) * x;
  EXPECT_TRUE(is_leaf(x));
  backward(y);
  EXPECT_DOUBLE_EQ(grad(x).item(), 6);
}

}  // namespace
}  // namespace qing
