// gradients(), gradients of gradients, products with the Jacobian.
#include <gtest/gtest.h>

#include <cmath>

#include <qing/autograd/autograd.h>
#include <qing/autograd/functional/functional.h>
#include <qing/autograd/graph.h>
#include <qing/autograd/ops.h>

namespace qing {
namespace {

Tensor leaf(std::initializer_list<double> values) {
  Tensor x = Tensor::from<double>(values, {static_cast<int64_t>(values.size())});
  return set_requires_grad(x);
}

void expect_values(const Tensor& x, std::initializer_list<double> wanted, double tolerance = 1e-12) {
  const Tensor dense = x.alias().contiguous();
  ASSERT_EQ(dense.numel(), static_cast<int64_t>(wanted.size()));
  size_t i = 0;
  for (const double value : wanted) EXPECT_NEAR(dense.span<double>()[i++], value, tolerance);
}

TEST(Gradients, LeaveTheLeavesAlone) {
  const Tensor x = leaf({1, 2, 3}), w = leaf({4, 5, 6});
  const auto found = gradients(sum(x * x * w), {x});
  expect_values(found[0], {8, 20, 36});
  EXPECT_FALSE(grad(x).defined());
  EXPECT_FALSE(grad(w).defined());
}

TEST(Gradients, OfAResultInTheMiddle) {
  const Tensor x = leaf({2, 3});
  const Tensor square = x * x;
  const auto found = gradients(sum(square * square), {square, x});
  expect_values(found[0], {8, 18});
  expect_values(found[1], {32, 108});
}

TEST(Gradients, TheRootItself) {
  const Tensor x = leaf({2, 3});
  const Tensor y = sum(x);
  expect_values(gradients(y, {y}, {.retain_graph = true})[0], {1});
}

TEST(Gradients, WalkOnlyWhereAWantedOneIsBelow) {
  const Tensor x = leaf({2}), other = leaf({3});
  int needed = -1, runs = 0;
  Tensor beside = other.alias();
  record(OpName::custom("beside"), beside, {other}, [&](const Tensor&, GradSink&) { ++runs; });
  Tensor product = x.alias();
  record(OpName::custom("product"), product, {x, beside}, [&](const Tensor& dy, GradSink& grad) {
    needed = grad.needs(1);
    grad.add(0, dy);
  });
  gradients(product, {x});
  EXPECT_EQ(needed, 0);
  EXPECT_EQ(runs, 0);
}

TEST(Gradients, OfAResultInTheMiddleLeaveNothingBehindBelowIt) {
  const Tensor x = leaf({0.5, 1});
  const Tensor middle = exp(x);
  const Tensor root = sum(middle * middle);
  gradients(root, {middle}, {.retain_graph = true});
  expect_values(gradients(root, {x})[0], {2 * std::exp(1.0), 2 * std::exp(2.0)});
}

TEST(Gradients, EndAtAWantedResultWhateverMadeIt) {
  const Tensor x = leaf({1, 2});
  Tensor once = x.alias();
  record(OpName::custom("once"), once, {x}, [](const Tensor& dy, GradSink& grad) { grad.add(0, dy); });
  expect_values(gradients(sum(once * once), {once}, {.create_graph = true})[0], {2, 4});
}

TEST(Gradients, UnusedInputsAreAnErrorUnlessAllowed) {
  const Tensor x = leaf({1}), other = leaf({1});
  EXPECT_THROW(gradients(sum(x * x), {x, other}), AutogradError);
  const auto found = gradients(sum(x * x), {x, other}, {.allow_unused = true});
  EXPECT_TRUE(found[0].defined());
  EXPECT_FALSE(found[1].defined());
  EXPECT_THROW(gradients(sum(x * x), {Tensor::zeros({1})}), AutogradError);
}

TEST(Gradients, OfHigherOrder) {
  const Tensor x = leaf({1.5, -2});
  Tensor y = sum(x * x * x * x);
  const double wanted[4][2] = {{13.5, -32}, {27, 48}, {36, -48}, {24, 24}};
  for (const auto& values : wanted) {
    const Tensor next = gradients(y, {x}, {.create_graph = true})[0];
    expect_values(next, {values[0], values[1]}, 1e-9);
    y = sum(next);
  }
}

TEST(Gradients, APenaltyOnThemTrains) {
  // d/dx |∇ sum(tanh(x)·w)|² in two ways.
  const Tensor x = leaf({0.3, -0.7}), w = leaf({2, 3});
  const auto penalty = [&] {
    const Tensor slope = gradients(sum(tanh(x) * w), {x}, {.create_graph = true})[0];
    return sum(slope * slope);
  };
  backward(penalty());
  const Tensor analytic = grad(x);
  for (int64_t i = 0; i < 2; ++i) {
    const double at = x.data<double>()[i], h = 1e-6;
    x.data<double>()[i] = at + h;
    const double above = penalty().item();
    x.data<double>()[i] = at - h;
    const double below = penalty().item();
    x.data<double>()[i] = at;
    EXPECT_NEAR(analytic.data<double>()[i], (above - below) / (2 * h), 1e-7);
  }
  EXPECT_TRUE(grad(w).defined());
}

TEST(Gradients, RefuseASecondOneWhereThereIsNone) {
  const Tensor x = leaf({1, 2});
  Tensor y = x.alias();
  record(OpName::custom("once"), y, {x}, [](const Tensor& dy, GradSink& grad) { grad.add(0, dy); });
  try {
    gradients(sum(y), {x}, {.create_graph = true});
    FAIL() << "the operation is of first order";
  } catch (const AutogradError& error) {
    EXPECT_NE(std::string(error.what()).find("once has no second derivative"), std::string::npos) << error.what();
  }
}

TEST(Gradients, AnOperationWithAWrongOrderIsDetected) {
  const Tensor x = leaf({1, 2});
  Tensor y = x.alias();
  record(OpName::custom("liar", Order::second), y, {x},
         [](const Tensor& dy, GradSink& grad) { grad.target(0).tensor.copy_from(dy); });
  EXPECT_THROW(gradients(sum(y), {x}, {.create_graph = true}), AutogradError);
}

TEST(Gradients, AnInputThatWasNotRecordedIsAnErrorOfItsOperation) {
  const Tensor x = leaf({3, 4});
  const auto message = [&](const BackwardFunction& wrong) {
    Tensor y = detach(x).clone();
    record(OpName::custom("cube"), y, {x}, wrong);
    try {
      backward(sum(y));
    } catch (const IndexError& error) { return std::string(error.what()); }
    return std::string();
  };
  const std::string wanted = "cube: its backward asks for input 1, but 1 input was recorded; they count from 0";
  EXPECT_EQ(message([](const Tensor& dy, GradSink& grad) { grad.add(1, dy); }), wanted);
  EXPECT_EQ(message([](const Tensor&, GradSink& grad) { grad.target(1); }), wanted);
  EXPECT_EQ(message([&](const Tensor&, GradSink& grad) { grad.input(1, Saved(x)); }), wanted);
}

TEST(Gradients, TheGraphIsFreedUnlessRetained) {
  const Tensor x = leaf({1, 2});
  const Tensor y = sum(x * x);
  gradients(y, {x}, {.retain_graph = true});
  gradients(y, {x});
  EXPECT_THROW(gradients(y, {x}), AutogradError);
}

TEST(Functional, VjpAndJvpAreTheJacobiansProducts) {
  const TensorFunction f = [](const std::vector<Tensor>& in) { return tanh(in[0]) * exp(in[1]) + in[0]; };
  const Tensor a = Tensor::from<double>({0.1, 0.2, 0.3}, {3}), b = Tensor::from<double>({-1, 0.5, 2}, {3});
  const Tensor u = Tensor::from<double>({1, -2, 3}, {3}), t = Tensor::from<double>({0.5, 4, -1}, {3});
  const auto backward_product = vjp(f, {a, b}, u);
  const auto forward_product = jvp(f, {a, b}, {t, t});
  EXPECT_FALSE(requires_grad(a));
  // uᵀ·(J·t) = (uᵀ·J)·t
  const double left = sum(u * forward_product.tangent).item();
  const double right = sum(backward_product.gradients[0] * t).item() + sum(backward_product.gradients[1] * t).item();
  EXPECT_NEAR(left, right, 1e-12);
  EXPECT_NEAR(backward_product.value.data<double>()[0], forward_product.value.data<double>()[0], 0);
  const double h = 1e-6;
  const Tensor above = f({a + scale(t, h), b + scale(t, h)}), below = f({a - scale(t, h), b - scale(t, h)});
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(forward_product.tangent.data<double>()[i],
                (above.data<double>()[i] - below.data<double>()[i]) / (2 * h), 1e-7);
  }
}

TEST(Functional, JvpOfAFunctionThatIgnoresItsInputIsZero) {
  const Tensor x = Tensor::from<double>({1, 2}, {2});
  const auto result = jvp([](const std::vector<Tensor>&) { return Tensor::full({2}, 3, DType::f64); }, {x}, {x});
  expect_values(result.tangent, {0, 0});
  expect_values(vjp([](const std::vector<Tensor>&) { return Tensor::full({2}, 3, DType::f64); }, {x}, x).gradients[0],
                {0, 0});
}

TEST(Functional, JvpChecksItsTangents) {
  const Tensor x = Tensor::from<double>({1, 2}, {2});
  const TensorFunction f = [](const std::vector<Tensor>& in) { return exp(in[0]); };
  EXPECT_THROW(jvp(f, {x}, {}), ValueError);
  EXPECT_THROW(jvp(f, {x}, {Tensor::zeros({3}, DType::f64)}), ShapeError);
  EXPECT_THROW(jvp(f, {x}, {Tensor::zeros({2})}), DTypeError);
}

TEST(Functional, JacobianAndHessian) {
  const Tensor x = Tensor::from<double>({1, 2, 3}, {3});
  const Tensor j = jacobian([](const Tensor& v) { return slice(v * v, 0, 0, 2); }, x);
  EXPECT_EQ(j.shape(), (Shape{2, 3}));
  expect_values(j, {2, 0, 0, 0, 4, 0});
  const Tensor h = hessian([](const Tensor& v) { return sum(v) * sum(v * v); }, x);
  EXPECT_EQ(h.shape(), (Shape{3, 3}));
  // ∂²/∂i∂j (s·q) = 2(xi + xj) + 2s·δij, s = 6
  expect_values(h, {16, 6, 8, 6, 20, 10, 8, 10, 24});
  EXPECT_THROW(hessian([](const Tensor& v) { return v * v; }, x), ShapeError);
}

}  // namespace
}  // namespace qing
