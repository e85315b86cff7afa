// In-place writes to tensors of a graph: their gradients and their refusals.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/graph.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/random.h>

namespace qing {
namespace {

using Values = std::vector<double>;

Tensor leaf(std::initializer_list<double> values) {
  Tensor x = Tensor::from<double>(values, {static_cast<int64_t>(values.size())});
  return set_requires_grad(x);
}

Values values_of(const Tensor& x) {
  if (!x.defined()) return {};
  const Tensor dense = x.alias().contiguous();
  return {dense.span<double>().begin(), dense.span<double>().end()};
}

// The gradient of x = (1, 2) after `write` to 2x and a backward from its sum.
Values gradient_after(const std::function<void(Tensor& y, const Tensor& x)>& write) {
  const Tensor x = leaf({1, 2});
  Tensor y = x * 2.0;
  write(y, x);
  backward(sum(y));
  return values_of(grad(x));
}

void expect_refused(const std::function<void()>& act, const std::string& part) {
  try {
    act();
    FAIL() << "no AutogradError with: " << part;
  } catch (const AutogradError& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(InPlace, WritesToAResultAreRecorded) {
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor&) { y.mul_(10); }), (Values{20, 20}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor&) { y.div_(4); }), (Values{0.5, 0.5}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor& x) { y.add_(x); }), (Values{3, 3}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor& x) { y.sub_(x, 3); }), (Values{-1, -1}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor& x) { y.mul_(x); }), (Values{4, 8}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor& x) { y.div_(x); }), (Values{0, 0}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor&) { y.add_(1).sub_(2); }), (Values{2, 2}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor&) { y.clamp_(0, 3); }), (Values{2, 0}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor&) { y.zero_(); }), (Values{0, 0}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor&) { y.fill(3); }), (Values{0, 0}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor&) { y.set({1}, 3); }), (Values{2, 0}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor& x) { y.copy_from(x * 5.0); }), (Values{5, 5}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor&) {
              y.masked_fill_(Tensor::from<bool>({false, true}, {2}), 7);
            }),
            (Values{2, 0}));
}

TEST(InPlace, RandomNumbersHaveNoGradient) {
  Generator rng(3);
  EXPECT_EQ(gradient_after([&](Tensor& y, const Tensor&) { rng.fill_normal(y, 0, 1); }), (Values{0, 0}));
  EXPECT_EQ(gradient_after([&](Tensor& y, const Tensor&) { rng.fill_uniform(y, 0, 1); }), (Values{0, 0}));
}

TEST(InPlace, WritesThroughAViewReachTheBase) {
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor&) { y[{Slice(0, 1)}].fill(0); }), (Values{0, 2}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor&) { y.reshape({2, 1}).select(0, 1).mul_(10); }), (Values{2, 20}));
  EXPECT_EQ(gradient_after([](Tensor& y, const Tensor& x) { y.select(0, 0).copy_from(x.select(0, 1)); }),
            (Values{0, 3}));
}

TEST(InPlace, ViewsFollowTheBase) {
  const Tensor x = leaf({1, 2, 3});
  Tensor y = x * 2.0;
  const Tensor before = y.slice(0, 0, 2), other = y.slice(0, 1, 3);
  y.mul_(5);
  backward(sum(before));
  EXPECT_EQ(values_of(grad(x)), (Values{10, 10, 0}));
  zero_grad(x);
  y = x * 2.0;
  const Tensor first = y.slice(0, 0, 2), second = y.slice(0, 1, 3);
  Tensor(first).mul_(5);
  backward(sum(second));
  EXPECT_EQ(values_of(grad(x)), (Values{0, 10, 2}));
}

TEST(InPlace, APlainBaseAndItsViewsTakeHistory) {
  const Tensor x = leaf({1, 2});
  const Tensor base = Tensor::zeros({3}, DType::f64);
  Tensor low = base.slice(0, 0, 2);
  const Tensor high = transpose(base.slice(0, 1, 3).unsqueeze(0), 0, 1);
  low.copy_from(x * 2.0);
  EXPECT_TRUE(requires_grad(base));
  EXPECT_TRUE(requires_grad(high));
  EXPECT_FALSE(is_leaf(base));
  backward(sum(high * Tensor::full({1}, 5, DType::f64)));
  EXPECT_EQ(values_of(grad(x)), (Values{0, 10}));
  Tensor zeros = Tensor::zeros({2}, DType::f64);
  zeros.copy_from(x * 2.0);
  EXPECT_TRUE(requires_grad(zeros));
}

TEST(InPlace, ConstantsIntoAPlainTensorRecordNothing) {
  Tensor plain = Tensor::zeros({3}, DType::f64);
  plain.slice(0, 0, 2).fill(3);
  plain.add_(plain);
  EXPECT_FALSE(requires_grad(plain));
}

TEST(InPlace, OfAnotherDType) {
  const Tensor x = leaf({1, 2});
  Tensor single = Tensor::zeros({2});
  single.copy_from(x);
  single.mul_(x);
  EXPECT_EQ(single.dtype(), DType::f32);
  backward(sum(single));
  EXPECT_EQ(values_of(grad(x)), (Values{2, 4}));
  Tensor counts = Tensor::zeros({2}, DType::i64);
  counts.copy_from(x);
  EXPECT_FALSE(requires_grad(counts));
}

TEST(InPlace, ALeafIsRefused) {
  const std::string part = "a leaf that requires a gradient is used in an in-place operation";
  Tensor x = leaf({1, 2}), plain = Tensor::zeros({2}, DType::f64);
  Generator rng(1);
  expect_refused([&] { x.mul_(2); }, "mul_: " + part);
  expect_refused([&] { x.add_(plain); }, "add_: " + part);
  expect_refused([&] { x.div_(plain); }, "div_: " + part);
  expect_refused([&] { x.clamp_(0, 1); }, "clamp_: " + part);
  expect_refused([&] { x.masked_fill_(Tensor::zeros({2}, DType::boolean), 1); }, "masked_fill_: " + part);
  expect_refused([&] { x.zero_(); }, "fill: " + part);
  expect_refused([&] { x.copy_from(plain); }, "copy_from: " + part);
  expect_refused([&] { rng.fill_normal(x, 0, 1); }, "fill_normal: " + part);
  expect_refused([&] { x.set({0}, 4); }, "set: a view of a leaf");
  expect_refused([&] { x.slice(0, 0, 1).mul_(2); }, "mul_: a view of a leaf");
  EXPECT_EQ(values_of(x), (Values{1, 2})) << "a refused write changes nothing";
}

TEST(InPlace, AViewThatWasMadeBeforeItsBaseBecameALeaf) {
  Tensor base = Tensor::zeros({2}, DType::f64), view = base.slice(0, 0, 1);
  set_requires_grad(base);
  EXPECT_FALSE(requires_grad(view));
  expect_refused([&] { view.mul_(2); }, "a view of a leaf");
}

TEST(InPlace, WithoutGradientsNothingIsRecordedOrRefused) {
  Tensor x = leaf({1, 2}), y = x * 2.0;
  {
    const NoGradGuard guard;
    x.mul_(3);
    x.slice(0, 0, 1).fill(7);
    y.mul_(10);
  }
  EXPECT_EQ(values_of(x), (Values{7, 6}));
  EXPECT_TRUE(is_leaf(x));
  backward(sum(y));
  EXPECT_EQ(values_of(y), (Values{20, 40}));
  EXPECT_EQ(values_of(grad(x)), (Values{2, 2}));
}

TEST(InPlace, ADetachedTensorSharesMemoryAndNotHistory) {
  const Tensor x = leaf({1, 2}), y = x * 2.0;
  Tensor apart = detach(y);
  apart.mul_(x);
  EXPECT_TRUE(requires_grad(apart));
  EXPECT_EQ(values_of(y), (Values{2, 8}));
  backward(sum(y));
  EXPECT_EQ(values_of(grad(x)), (Values{2, 2}));
}

TEST(InPlace, AViewMadeWithoutGradients) {
  const Tensor x = leaf({1, 2});
  Tensor y = x * 2.0, view;
  {
    const NoGradGuard guard;
    view = y.slice(0, 0, 1);
    EXPECT_FALSE(requires_grad(view));
  }
  EXPECT_FALSE(requires_grad(view * 2.0)) << "as it is while nobody writes";
  expect_refused([&] { view.mul_(2); }, "made under NoGradGuard");
  expect_refused([&] { view.slice(0, 0, 1).mul_(2); }, "made under NoGradGuard");
  y.mul_(2);
  expect_refused([&] { static_cast<void>(view * 2.0); }, "made under NoGradGuard");
  const NoGradGuard guard;
  view.fill(3);
  EXPECT_EQ(values_of(y), (Values{3, 8}));
}

TEST(InPlace, AViewMadeWithoutGradientsAsALeaf) {
  const Tensor x = leaf({1, 2}), y = x * 2.0;
  Tensor view;
  {
    const NoGradGuard guard;
    view = y.slice(0, 0, 1);
  }
  set_requires_grad(view);
  backward(sum(view * 3.0));
  EXPECT_EQ(values_of(grad(view)), (Values{3}));
  set_requires_grad(view, false);
  expect_refused([&] { view.mul_(2); }, "made under NoGradGuard");
}

TEST(InPlace, ALeafWhoseBaseIsWritten) {
  const Tensor x = leaf({1, 2});
  Tensor arena = Tensor::zeros({2}, DType::f64), parameter = arena.slice(0, 0, 1);
  set_requires_grad(parameter);
  arena.fill(1);
  EXPECT_TRUE(requires_grad(parameter * 2.0));
  arena.copy_from(x);
  expect_refused([&] { static_cast<void>(parameter * 2.0); }, "create the leaf from a clone");
}

TEST(InPlace, AResultThatSharesMemoryWithItsInput) {
  const Tensor x = leaf({1, 2});
  Tensor twice = x * 2.0, y = twice.alias();
  record(OpName::custom("reversed"), y, {twice}, [](const Tensor& dy, GradSink& grad) { grad.add(0, neg(dy)); });
  expect_refused([&] { y.mul_(2); }, "a result of reversed");
  twice.mul_(2);
  expect_refused([&] { static_cast<void>(y * 2.0); }, "the result of reversed");
}

TEST(InPlace, SavedTensorsThatWereWrittenAreRefused) {
  const Tensor x = leaf({1, 2}), w = leaf({3, 4});
  Tensor y = x * 2.0;
  const Tensor product = y * w;
  y.mul_(2);
  expect_refused([&] { backward(sum(product)); }, "written in place");
  Tensor z = x * 2.0, factor = Tensor::full({2}, 3, DType::f64);
  z.mul_(factor);
  factor.fill(1);
  expect_refused([&] { backward(sum(z)); }, "written in place");
}

TEST(InPlace, SharedMemoryIsRefused) {
  const Tensor x = leaf({1});
  Tensor wide = (x * 2.0).expand({3});
  EXPECT_THROW(wide.mul_(2), ValueError);
  EXPECT_THROW(wide.fill(2), ValueError);
  Tensor apart = detach(wide), first = apart.slice(0, 0, 1);
  expect_refused([&] { first.copy_from(x); }, "share memory");
}

TEST(InPlace, WrongOperandsChangeNothing) {
  const Tensor x = leaf({1, 2});
  Tensor y = x * 2.0;
  const Tensor wrong = Tensor::zeros({3}, DType::f64), wide = Tensor::zeros({2, 2}, DType::f64);
  for (const Tensor& other : {wrong, wide}) {
    EXPECT_THROW(y.mul_(other), ShapeError);
    EXPECT_THROW(y.add_(other), ShapeError);
    EXPECT_THROW(y.div_(other), ShapeError);
    EXPECT_THROW(y.copy_from(other), ShapeError);
    EXPECT_THROW(y.masked_fill_(other.to(DType::boolean), 1), ShapeError);
  }
  EXPECT_THROW(y.masked_fill_(y, 1), DTypeError);
  EXPECT_THROW(y.clamp_(std::nullopt, std::nullopt), ValueError);
  backward(sum(y));
  EXPECT_EQ(values_of(grad(x)), (Values{2, 2}));
}

TEST(InPlace, HooksSeeTheValueBeforeAndRetainedGradientsTheValueAfter) {
  const Tensor x = leaf({1, 2});
  Tensor y = x * 2.0;
  Values seen;
  register_hook(y, [&](const Tensor& gradient) {
    seen = values_of(gradient);
    return Tensor();
  });
  retain_grad(y);
  const Tensor view = y.slice(0, 0, 1);
  retain_grad(view);
  y.mul_(5);
  backward(sum(y * 3.0) + sum(view));
  EXPECT_EQ(seen, (Values{20, 15}));
  EXPECT_EQ(values_of(grad(y)), (Values{4, 3}));
  EXPECT_EQ(values_of(grad(view)), (Values{1}));
}

TEST(InPlace, InfinitiesStayOutOfTheGradient) {
  const Tensor x = leaf({0, 2});
  Tensor y = x * 2.0;
  y[{Slice(0, 1)}].fill(1);
  y.masked_fill_(Tensor::from<bool>({false, true}, {2}), 1);
  // The gradient of 1/(y−1) is infinite at both.
  backward(sum(reciprocal(y - 1.0)));
  EXPECT_EQ(values_of(grad(x)), (Values{0, 0}));
}

TEST(InPlace, GradientsOfGradients) {
  const Tensor x = leaf({1.5, -2});
  Tensor y = x * x;
  y[{Slice(1, 2)}].mul_(x[{Slice(1, 2)}]);  // x², x³
  const Tensor slope = gradients(sum(y), {x}, {.create_graph = true})[0];
  EXPECT_EQ(values_of(slope), (Values{3, 12}));
  EXPECT_EQ(values_of(gradients(sum(slope), {x})[0]), (Values{2, -12}));
}

TEST(InPlace, AResidualStreamIsBitwiseTheSumOutOfPlace) {
  const Tensor x = leaf({0.1, -0.7}), w = leaf({0.3, 0.9});
  Tensor stream = x * 1.0;
  for (int layer = 0; layer < 4; ++layer) stream.add_(tanh(stream.clone() * w));
  backward(sum(stream));
  const Values in_place = values_of(grad(w)), values = values_of(stream);
  zero_grad(w);
  Tensor sums = x * 1.0;
  for (int layer = 0; layer < 4; ++layer) sums = sums + tanh(sums * w);
  backward(sum(sums));
  EXPECT_EQ(values_of(sums), values);
  EXPECT_EQ(values_of(grad(w)), in_place);
}

}  // namespace
}  // namespace qing
