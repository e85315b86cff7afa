#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include <qing/tensor/creation.h>
#include <qing/tensor/threads.h>

#include "nn/temp_folder.h"

namespace qing {
namespace {

using Values = std::vector<double>;
using test::message_of;

Values values_of(const Tensor& x) {
  const Tensor dense = x.to(DType::f64).contiguous();
  const auto span = dense.span<double>();
  return {span.begin(), span.end()};
}

TEST(InPlace, ArithmeticBroadcastsAndConverts) {
  Tensor x = Tensor::of({{1, 2, 3}, {4, 5, 6}});
  x.add_(Tensor::of({10, 20, 30}, DType::i32)).sub_(1).mul_(Tensor::of({{1}, {2}})).div_(2);
  EXPECT_EQ(values_of(x), (Values{5, 10.5, 16, 13, 24, 35}));
  EXPECT_EQ(values_of(x.add_(Tensor::of({1, 1, 1}), -5)), (Values{0, 5.5, 11, 8, 19, 30}));
  EXPECT_EQ(values_of(x.sub_(Tensor::of({1, 0, 1}), 2)), (Values{-2, 5.5, 9, 6, 19, 28}));
  EXPECT_EQ(values_of(x.zero_()), Values(6, 0));
}

TEST(InPlace, BumpsTheVersionOfEveryView) {
  Tensor x = Tensor::zeros({4});
  const Tensor view = x.slice(0, 1, 2);
  for (const auto& write : std::vector<std::function<void()>>{
           [&] { x.add_(1); }, [&] { x.mul_(x); }, [&] { x.div_(2); }, [&] { x.clamp_(0, 1); }, [&] { x.zero_(); },
           [&] {
             x.masked_fill_(Tensor::of({1, 0, 0, 1}, DType::boolean), 1);
           }}) {
    const uint64_t before = view.version();
    write();
    EXPECT_GT(view.version(), before);
  }
}

TEST(InPlace, AnOverlappingOperandIsReadAsItWas) {
  Tensor x = Tensor::arange(5);
  x.slice(0, 1, 5).add_(x.slice(0, 0, 4));
  EXPECT_EQ(values_of(x), (Values{0, 1, 3, 5, 7}));
  Tensor square = Tensor::of({{1, 2}, {3, 4}});
  square.add_(square.transpose(0, 1));
  EXPECT_EQ(values_of(square), (Values{2, 5, 5, 8}));
  square.mul_(square[0]);  // its own first row, broadcast
  EXPECT_EQ(values_of(square), (Values{4, 25, 10, 40}));
  square.sub_(square);
  EXPECT_EQ(values_of(square), Values(4, 0));
}

TEST(InPlace, IntegersWrapAndRefuseFractions) {
  Tensor x = Tensor::of({127, -128}, DType::i8);
  EXPECT_EQ(values_of(x.add_(1)), (Values{-128, -127}));
  Tensor big = Tensor::full({1}, 0, DType::i64);
  big.data<int64_t>()[0] = std::numeric_limits<int64_t>::max();
  big.mul_(2);
  EXPECT_EQ(big.data<int64_t>()[0], -2);
  EXPECT_EQ(values_of(Tensor::of({200}, DType::u8).mul_(2)), (Values{144}));
  EXPECT_THROW(x.add_(0.5), ValueError);
  EXPECT_THROW(x.add_(x, 0.5), ValueError);
  EXPECT_THROW(x.div_(2), DTypeError);
}

TEST(InPlace, Clamp) {
  Tensor x = Tensor::of({-5, 0.5, 9, NAN});
  x.clamp_(-1, std::nullopt);
  EXPECT_EQ(x.at({0}), -1);
  x.clamp_(std::nullopt, 1);
  EXPECT_EQ(x.at({2}), 1);
  EXPECT_EQ(x.at({1}), 0.5);
  EXPECT_TRUE(std::isnan(x.at({3})));
  EXPECT_THROW(x.clamp_(std::nullopt, std::nullopt), ValueError);
}

TEST(InPlace, MaskedFillTakesAnyDType) {
  Tensor x = Tensor::of({{1, 2}, {3, 4}}, DType::f16);
  x.masked_fill_(Tensor::of({true, false}, DType::boolean), -9);
  EXPECT_EQ(values_of(x), (Values{-9, 2, -9, 4}));
  EXPECT_THROW(x.masked_fill_(Tensor::of({1, 0}, DType::u8), 0), DTypeError);
  EXPECT_THROW(x.masked_fill_(Tensor::of({1, 0, 1}, DType::boolean), 0), ShapeError);
}

TEST(InPlace, RefusesWhatItCannotDo) {
  Tensor row = Tensor::zeros({3}), wide = row.expand({2, 3}), windows = row.unfold(0, 2, 1);
  EXPECT_THROW(wide.add_(1), ValueError);
  EXPECT_THROW(windows.mul_(2), ValueError);
  EXPECT_THROW(windows.div_(2), ValueError);
  EXPECT_THROW(wide.masked_fill_(Tensor::full({}, 1, DType::boolean), 1), ValueError);
  EXPECT_THROW(row.add_(Tensor::zeros({2, 3})), ShapeError);
  EXPECT_NE(message_of<DTypeError>([] { Tensor::zeros({1}, DType::f16).add_(1); }).find("add_: needs f32"),
            std::string::npos);
}

// Sizes that cut tiles and chunks, in every order of dimensions.
TEST(StridedProperty, CopiesOfPermutedTensorsAreRightForAnyNumberOfThreads) {
  const int before = num_threads();
  EXPECT_TRUE(rc::check([] {
    set_num_threads(*rc::gen::inRange(1, 5));
    const Shape shape = {*rc::gen::inRange<int64_t>(1, 70), *rc::gen::inRange<int64_t>(1, 70),
                         *rc::gen::inRange<int64_t>(1, 12)};
    std::vector<int64_t> order = {0, 1, 2};
    for (int i = 2; i > 0; --i) std::swap(order[i], order[*rc::gen::inRange(0, i + 1)]);
    const Tensor x = Tensor::arange(numel_of(shape), DType::i32).reshape(shape);
    const Tensor permuted = x.permute(order).slice(0, 0, 1000, *rc::gen::inRange<int64_t>(1, 3));
    const Tensor copy = permuted.to(DType::i64);
    RC_ASSERT(copy.is_contiguous());
    const int64_t* got = copy.data<int64_t>();
    const Strides& s = permuted.strides();
    for (int64_t a = 0; a < permuted.size(0); ++a) {
      for (int64_t b = 0; b < permuted.size(1); ++b) {
        for (int64_t c = 0; c < permuted.size(2); ++c) RC_ASSERT(*got++ == a * s[0] + b * s[1] + c * s[2]);
      }
    }
  }));
  set_num_threads(before);
}

TEST(Strided, ConversionsKeepDenormals) {
  const float tiny = 1e-40F;
  EXPECT_EQ(Tensor::full({1}, tiny).to(DType::f64).item(), static_cast<double>(tiny));
  EXPECT_EQ(Tensor::full({1}, 1e-40, DType::f64).to(DType::f32).item(), static_cast<double>(tiny));
}

}  // namespace
}  // namespace qing
