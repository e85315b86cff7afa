// Observing and changing a walk: hooks, retained gradients, guards, anomaly mode.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/graph.h>
#include <qing/autograd/ops.h>
#include <qing/autograd/ops/gradient_checkpoint.h>

#include "autograd/variable.h"

namespace qing {
namespace {

using test::variable;

TEST(Hooks, SeeAndReplaceAGradientOnItsWay) {
  const Tensor x = variable(3);
  const Tensor y = x * x;
  double seen = 0;
  register_hook(y, [&](const Tensor& g) {
    seen = g.item();
    return scale(g, 10);
  });
  backward(scale(y, 2));
  EXPECT_DOUBLE_EQ(seen, 2);
  EXPECT_DOUBLE_EQ(grad(x).item(), 2 * 10 * 6);
}

TEST(Hooks, OfALeafSeeTheWholeGradientOnce) {
  const Tensor x = variable(3);
  int calls = 0;
  double seen = 0;
  register_hook(x, [&](const Tensor& g) {
    ++calls;
    seen = g.item();
    return Tensor();
  });
  backward(x * x + x);
  EXPECT_EQ(calls, 1);
  EXPECT_DOUBLE_EQ(seen, 7);
  EXPECT_DOUBLE_EQ(grad(x).item(), 7);
  backward(x * x);
  EXPECT_DOUBLE_EQ(seen, 6) << "of this walk alone";
  EXPECT_DOUBLE_EQ(grad(x).item(), 13);
}

TEST(Hooks, RunInOrderUntilRemoved) {
  const Tensor x = variable(1);
  std::string order;
  HookHandle first = register_hook(x, [&](const Tensor&) { return order += "a", Tensor(); });
  register_hook(x, [&](const Tensor&) { return order += "b", Tensor(); });
  backward(neg(x));
  first.remove();
  first.remove();
  backward(neg(x));
  EXPECT_EQ(order, "abb");
}

TEST(Hooks, MustReturnMatchingGradients) {
  const Tensor x = variable(1);
  HookHandle hook = register_hook(x, [](const Tensor&) { return Tensor::zeros({2}, DType::f64); });
  EXPECT_THROW(backward(neg(x)), ShapeError);
  hook.remove();
  register_hook(x, [](const Tensor&) { return Tensor::zeros({}); });
  EXPECT_THROW(backward(neg(x)), DTypeError);
  EXPECT_THROW(register_hook(Tensor::zeros({}), [](const Tensor&) { return Tensor(); }), AutogradError);
}

TEST(Hooks, MayBeRemovedAfterTheGraphIsGone) {
  HookHandle handle;
  {
    const Tensor x = variable(1);
    handle = register_hook(neg(x), [](const Tensor&) { return Tensor(); });
  }
  handle.remove();
}

TEST(RetainGrad, KeepsTheGradientOfAResult) {
  const Tensor x = variable(3);
  const Tensor y = x * x;
  retain_grad(y);
  backward(scale(y, 5), {.retain_graph = true});
  EXPECT_DOUBLE_EQ(grad(y).item(), 5);
  backward(scale(y, 2));
  EXPECT_DOUBLE_EQ(grad(y).item(), 7);
  EXPECT_THROW(retain_grad(Tensor::zeros({})), AutogradError);
}

TEST(Guards, EnableWithinNoGradAndNeverWithinInference) {
  const Tensor x = variable(2);
  const NoGradGuard off;
  {
    const EnableGradGuard on;
    EXPECT_TRUE(requires_grad(x * x));
  }
  EXPECT_FALSE(requires_grad(x * x));
  const InferenceGuard inference;
  const EnableGradGuard on;
  EXPECT_TRUE(inference_mode());
  EXPECT_FALSE(requires_grad(x * x));
  Tensor fresh = Tensor::zeros({});
  EXPECT_THROW(set_requires_grad(fresh), AutogradError);
}

std::string anomaly(const std::function<void()>& body) {
  const AnomalyGuard guard;
  try {
    body();
  } catch (const AutogradError& error) { return error.what(); }
  return "nothing was thrown";
}

TEST(Anomaly, NamesTheForwardThatMadeNaN) {
  const Tensor x = variable(-1);
  EXPECT_EQ(anomaly([&] { exp(log(x)); }).rfind("log: its forward made NaN", 0), 0U);
}

TEST(Anomaly, SaysThatAnInputWasNaN) {
  const Tensor x = variable(std::numeric_limits<double>::quiet_NaN());
  const std::string text = anomaly([&] { exp(x); });
  EXPECT_EQ(text.rfind("exp: its forward gave NaN", 0), 0U) << text;
  EXPECT_NE(text.find("from input 0"), std::string::npos) << text;
}

TEST(Anomaly, NamesTheBackwardThatMadeNaN) {
  // √0 has an infinite slope, and 0·∞ is NaN.
  const Tensor x = variable(0);
  const std::string text = anomaly([&] { backward(scale(sqrt(x), 0)); });
  EXPECT_EQ(text.rfind("sqrt: its backward gave NaN", 0), 0U) << text;
  EXPECT_TRUE(std::isnan([&] {
    const Tensor y = variable(0);
    backward(scale(sqrt(y), 0));
    return grad(y).item();
  }()))
      << "without the guard it goes through";
}

// The indices of the leaves in the order in which backward() is done with them, and their gradients at that moment.
struct LeafOrder {
  std::vector<size_t> order;
  std::vector<double> gradients;

  LeafOrder(const Tensor& root, const std::vector<Tensor>& leaves) {
    backward(root, {.leaves = leaves, .on_leaf = [&](size_t i) {
                      order.push_back(i);
                      const Tensor gradient = grad(leaves[i]);
                      gradients.push_back(gradient.defined() ? gradient.item() : 0);
                    }});
  }
};

TEST(OnLeaf, ComesAsSoonAsAGradientIsComplete) {
  const Tensor a = variable(2), b = variable(3), c = variable(5), unused = variable(1);
  // c is used last and so done first; a is used at both ends and so done last.
  const LeafOrder told((a * b * c) + a, {a, b, c, unused});
  EXPECT_EQ(told.order, (std::vector<size_t>{3, 2, 0, 1}));
  EXPECT_EQ(told.gradients, (std::vector<double>{0, 6, 16, 10}));
}

TEST(OnLeaf, ComesAfterTheHooksOfTheLeaf) {
  const Tensor a = variable(2), b = variable(3);
  register_hook(b, [](const Tensor& g) { return scale(g, 10); });
  const LeafOrder told(a * b, {a, b});
  EXPECT_EQ(told.order, (std::vector<size_t>{0, 1}));
  EXPECT_EQ(told.gradients, (std::vector<double>{3, 20}));
}

TEST(OnLeaf, OfALeafThatACheckpointCapturesComesAfterTheCheckpoint) {
  const Tensor x = variable(2), inside = variable(3), outside = variable(5);
  const Tensor y = checkpoint([&](const std::vector<Tensor>& in) { return in[0] * inside; }, {x});
  const LeafOrder told(y * outside, {inside, outside, x});
  EXPECT_EQ(std::set<size_t>(told.order.begin(), told.order.end()), (std::set<size_t>{0, 1, 2}));
  EXPECT_EQ(told.gradients, (std::vector<double>{10, 6, 15}));
}

TEST(OnLeaf, MayTakeTheGradient) {
  const Tensor a = variable(2), b = variable(3);
  const std::vector<Tensor> leaves = {a, b};
  std::vector<double> taken(2);
  const auto take = [&](size_t i) { taken[i] = take_grad(leaves[i]).gradient.item(); };
  for (int pass = 0; pass < 2; ++pass) backward(a * b, {.leaves = leaves, .on_leaf = take});
  EXPECT_EQ(taken, (std::vector<double>{3, 2}));
  EXPECT_FALSE(grad(a).defined());
}

}  // namespace
}  // namespace qing
