#include <qing/tensor/ops/compare.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <qing/tensor/creation.h>
#include <qing/tensor/ops/integer.h>
#include <qing/tensor/ops/nonzero.h>
#include <qing/tensor/ops/search.h>

#include "nn/temp_folder.h"

namespace qing {
namespace {

using Values = std::vector<double>;
using test::message_of;
constexpr double kInf = std::numeric_limits<double>::infinity();

Values values_of(const Tensor& x) {
  const Tensor dense = x.to(DType::f64).contiguous();
  const auto span = dense.span<double>();
  return {span.begin(), span.end()};
}

constexpr DType kAll[] = {DType::f32,     DType::f64, DType::i32,  DType::i64, DType::u8,
                          DType::boolean, DType::f16, DType::bf16, DType::i8};

TEST(Compare, EveryDTypeBroadcasts) {
  for (const DType dtype : kAll) {
    const Tensor a = Tensor::of({{0}, {1}}, dtype), b = Tensor::of({0, 1}, dtype);
    EXPECT_EQ(eq(a, b).dtype(), DType::boolean);
    EXPECT_EQ(values_of(eq(a, b)), (Values{1, 0, 0, 1})) << name_of(dtype);
    EXPECT_EQ(values_of(ne(a, b)), (Values{0, 1, 1, 0})) << name_of(dtype);
    EXPECT_EQ(values_of(lt(a, b)), (Values{0, 1, 0, 0})) << name_of(dtype);
    EXPECT_EQ(values_of(le(a, b)), (Values{1, 1, 0, 1})) << name_of(dtype);
    EXPECT_EQ(values_of(gt(a, b)), (Values{0, 0, 1, 0})) << name_of(dtype);
    EXPECT_EQ(values_of(ge(a, b)), (Values{1, 0, 1, 1})) << name_of(dtype);
    EXPECT_EQ(values_of(gt(b, 0)), (Values{0, 1})) << name_of(dtype);
  }
}

TEST(Compare, NumbersAreRoundedForFloatsAndExactForIntegers) {
  EXPECT_EQ(values_of(eq(Tensor::of({0.1}), 0.1)), (Values{1}));
  const Tensor i = Tensor::of({2, 3, -2, -3}, DType::i32);
  EXPECT_EQ(values_of(lt(i, 2.5)), (Values{1, 0, 1, 1}));
  EXPECT_EQ(values_of(gt(i, -2.5)), (Values{1, 1, 1, 0}));
  EXPECT_EQ(values_of(eq(i, 2.5)), Values(4, 0));
  EXPECT_EQ(values_of(lt(i, kInf)), Values(4, 1));
  EXPECT_EQ(values_of(gt(i, -kInf)), Values(4, 1));
  EXPECT_EQ(values_of(ne(i, NAN)), Values(4, 1));
  EXPECT_EQ(values_of(ge(i, NAN)), Values(4, 0));
  const int64_t big = (int64_t{1} << 53) + 1;
  EXPECT_EQ(values_of(gt(Tensor::of({big}, DType::i64), 0x1p53)), (Values{1}));
  EXPECT_EQ(values_of(lt(Tensor::of({std::numeric_limits<int64_t>::max()}, DType::i64), 0x1p63)), (Values{1}));
}

TEST(Compare, NotANumberEqualsNothingAndDenormalsAreNotZero) {
  const Tensor x = Tensor::of({NAN, 1}), tiny = Tensor::full({1}, 1e-40);
  EXPECT_EQ(values_of(eq(x, x)), (Values{0, 1}));
  EXPECT_EQ(values_of(ne(x, x)), (Values{1, 0}));
  EXPECT_EQ(values_of(gt(tiny, 0)), (Values{1}));
  EXPECT_EQ(values_of(logical_not(tiny)), (Values{0}));
}

TEST(Compare, DTypesMustAgree) {
  EXPECT_EQ(message_of<DTypeError>([] { eq(zeros({2}), zeros({2}, DType::i32)); }).substr(0, 4), "eq: ");
  EXPECT_THROW(lt(zeros({2}), zeros({3})), ShapeError);
}

TEST(Logic, EveryNonzeroNumberIsTrue) {
  const Tensor a = Tensor::of({0, 0, 2, NAN}), b = Tensor::of({0, 1, 0, 1}, DType::i64);
  EXPECT_EQ(values_of(logical_and(a, b)), (Values{0, 0, 0, 1}));
  EXPECT_EQ(values_of(logical_or(a, b)), (Values{0, 1, 1, 1}));
  EXPECT_EQ(values_of(logical_xor(a, b)), (Values{0, 1, 1, 0}));
  EXPECT_EQ(values_of(logical_not(a)), (Values{1, 1, 0, 0}));
}

TEST(Logic, ClassesOfFloats) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const Tensor x = Tensor::of({NAN, INFINITY, -INFINITY, 1}, dtype);
    EXPECT_EQ(values_of(isnan(x)), (Values{1, 0, 0, 0}));
    EXPECT_EQ(values_of(isinf(x)), (Values{0, 1, 1, 0}));
    EXPECT_EQ(values_of(isfinite(x)), (Values{0, 0, 0, 1}));
  }
  EXPECT_EQ(values_of(isfinite(Tensor::arange(2))), (Values{1, 1}));
}

TEST(Compare, IscloseEqualsPyTorchs) {
  const Tensor a = Tensor::of({1.0, kInf, kInf, NAN, 0, 100}, DType::f64);
  const Tensor b = Tensor::of({1.00001, kInf, 1, NAN, 1e-9, 100.01}, DType::f64);
  EXPECT_EQ(values_of(isclose(a, b)), (Values{1, 1, 0, 0, 1, 0}));
  EXPECT_EQ(values_of(isclose(b, a, 1e-3, 0, true)), (Values{1, 1, 0, 1, 0, 1}));
  EXPECT_EQ(values_of(isclose(Tensor::of({1}), Tensor::of({kInf}))), (Values{0}));
  EXPECT_TRUE(allclose(a[{Slice(0, 2)}], b[{Slice(0, 2)}]));
  EXPECT_FALSE(allclose(a, b));
  EXPECT_THROW(isclose(a, b, -1), ValueError);
}

TEST(Compare, EqualLooksAtValuesAndIdenticalAtBits) {
  const Tensor x = Tensor::of({{1, 2}, {3, 4}});
  EXPECT_TRUE(equal(x.transpose(0, 1), x.transpose(0, 1).clone()));
  EXPECT_FALSE(equal(x, x.transpose(0, 1)));
  EXPECT_FALSE(equal(x, x.reshape({4})));
  EXPECT_TRUE(equal(Tensor::of({-0.0}), Tensor::of({0.0})));
  EXPECT_FALSE(identical(Tensor::of({-0.0}), Tensor::of({0.0})));
  EXPECT_TRUE(identical(Tensor::of({NAN}), Tensor::of({NAN})));
  EXPECT_FALSE(identical(x, x.to(DType::f64)));
  EXPECT_FALSE(identical(x, x.reshape({4})));
  EXPECT_TRUE(equal(zeros({0}), zeros({0})));
}

TEST(Truth, AnyAllAndCounts) {
  const Tensor x = Tensor::of({{0, 1, 0}, {0, 2, NAN}});
  EXPECT_EQ(any(x).item(), 1);
  EXPECT_EQ(all(x).item(), 0);
  EXPECT_EQ(any(x).dtype(), DType::boolean);
  EXPECT_EQ(values_of(any(x, {0})), (Values{0, 1, 1}));
  EXPECT_EQ(values_of(all(x, {-2})), (Values{0, 1, 0}));
  EXPECT_EQ(values_of(count_nonzero(x, {1})), (Values{1, 2}));
  EXPECT_EQ(any(x, {0}, true).shape(), (Shape{1, 3}));
  EXPECT_EQ(count_nonzero(x, {0, 1}, true).shape(), (Shape{1, 1}));
  EXPECT_EQ(any(zeros({0})).item(), 0);
  EXPECT_EQ(all(zeros({0})).item(), 1);
  EXPECT_EQ(values_of(all(zeros({2, 0}), {1})), (Values{1, 1}));
  EXPECT_EQ(all(zeros({2, 0}), {0}).numel(), 0);
  EXPECT_THROW(any(x, {0, -2}), ValueError);
  EXPECT_THROW(any(x, {2}), IndexError);
}

TEST(Truth, NonzeroGivesPositionsInOrder) {
  const Tensor x = Tensor::of({{0, 1}, {2, 0}, {3, 4}}, DType::i8);
  EXPECT_EQ(values_of(nonzero(x)), (Values{0, 1, 1, 0, 2, 0, 2, 1}));
  EXPECT_EQ(nonzero(x).shape(), (Shape{4, 2}));
  EXPECT_EQ(nonzero(Tensor::full({}, 5)).shape(), (Shape{1, 0}));
  EXPECT_EQ(nonzero(zeros({3})).shape(), (Shape{0, 1}));
}

TEST(Search, ArgmaxAndArgminTakeTheFirstAndNaN) {
  const Tensor x = Tensor::of({{1, 3, 3}, {NAN, 5, NAN}});
  EXPECT_EQ(values_of(argmax(x, 1)), (Values{1, 0}));
  EXPECT_EQ(values_of(argmin(x, -1, true)), (Values{0, 0}));
  EXPECT_EQ(argmin(x, -1, true).shape(), (Shape{2, 1}));
  EXPECT_EQ(values_of(argmax(x, 0)), (Values{1, 1, 1}));
  EXPECT_EQ(argmax(x).item(), 3);
  EXPECT_EQ(argmin(Tensor::of({3, 1, 1}, DType::u8)).item(), 1);
  EXPECT_EQ(argmax(Tensor::of({false, true, true}, DType::boolean)).item(), 1);
  EXPECT_EQ(argmax(Tensor::of({-3, -1, -2}, DType::bf16)).item(), 1);
  EXPECT_EQ(argmax(Tensor::full({}, 1), 0).item(), 0);
  EXPECT_EQ(argmax(zeros({0, 3}), 1).shape(), (Shape{0}));
  EXPECT_THROW(argmax(zeros({0, 3}), 0), ValueError);
  EXPECT_THROW(argmax(zeros({0})), ValueError);
}

TEST(Search, Unique) {
  const Tensor x = Tensor::of({{3, 1}, {2, 3}}, DType::i32);
  const Unique u = unique(x);
  EXPECT_EQ(values_of(u.values), (Values{1, 2, 3}));
  EXPECT_EQ(u.values.dtype(), DType::i32);
  EXPECT_EQ(values_of(u.inverse), (Values{2, 0, 1, 2}));
  EXPECT_EQ(u.inverse.shape(), x.shape());
  EXPECT_EQ(values_of(u.counts), (Values{1, 1, 2}));
  const Unique n = unique(Tensor::of({NAN, 1, -INFINITY, NAN}, DType::f16));
  EXPECT_EQ(n.values.numel(), 4);
  EXPECT_EQ(n.values.at({0}), -kInf);
  EXPECT_TRUE(std::isnan(n.values.at({3})));
  EXPECT_EQ(unique(zeros({0})).values.numel(), 0);
}

TEST(Search, Searchsorted) {
  const Tensor row = Tensor::of({1, 3, 3, 5});
  const Tensor wanted = Tensor::of({{0, 3}, {5, NAN}});
  EXPECT_EQ(values_of(searchsorted(row, wanted)), (Values{0, 1, 3, 4}));
  EXPECT_EQ(values_of(searchsorted(row, wanted, true)), (Values{0, 3, 4, 4}));
  EXPECT_THROW(searchsorted(wanted, row), ShapeError);
  EXPECT_THROW(searchsorted(row, wanted.to(DType::f64)), DTypeError);
}

TEST(Search, Bincount) {
  const Tensor x = Tensor::of({1, 3, 1}, DType::u8);
  EXPECT_EQ(values_of(bincount(x)), (Values{0, 2, 0, 1}));
  EXPECT_EQ(values_of(bincount(x, 6)), (Values{0, 2, 0, 1, 0, 0}));
  EXPECT_EQ(values_of(bincount(x, Tensor::of({0.5, 2, 0.25}))), (Values{0, 0.75, 0, 2}));
  EXPECT_EQ(bincount(Tensor::empty({0}, DType::i64)).numel(), 0);
  EXPECT_THROW(bincount(Tensor::of({-1}, DType::i64)), ValueError);
  EXPECT_THROW(bincount(Tensor::of({std::numeric_limits<int64_t>::max()}, DType::i64)), ValueError);
  EXPECT_THROW(bincount(x.reshape({3, 1})), ShapeError);
  EXPECT_THROW(bincount(zeros({2})), DTypeError);
  EXPECT_THROW(bincount(x, zeros({2})), ShapeError);
  EXPECT_THROW(bincount(x, -1), ValueError);
}

TEST(Search, OneHot) {
  EXPECT_EQ(values_of(one_hot(Tensor::of({2, 0}, DType::i32))), (Values{0, 0, 1, 1, 0, 0}));
  EXPECT_EQ(one_hot(Tensor::of({{2, 0}}, DType::i64), 5).shape(), (Shape{1, 2, 5}));
  EXPECT_EQ(message_of<ValueError>([] { one_hot(Tensor::of({3}, DType::i64), 3); }),
            "one_hot: id 3 is outside [0, 3), the range of num_classes");
  EXPECT_EQ(message_of<ValueError>([] {
              one_hot(Tensor::of({0, -1}, DType::i64), 3);
            }),
            "one_hot: id -1 is outside [0, 3), the range of num_classes");
  EXPECT_EQ(message_of<ValueError>([] { one_hot(Tensor::of({-1}, DType::i64)); }), "one_hot: id -1 is negative");
  EXPECT_EQ(message_of<ValueError>([] { one_hot(Tensor::of({1LL << 40}, DType::i64)); }),
            "one_hot: id 1099511627776 is too large; the largest allowed is 4294967295");
  EXPECT_THROW(one_hot(zeros({2}), 3), DTypeError);
}

// Every pair of operands of i8, against arithmetic in plain int.
TEST(Integer, EveryPairOfBytesIsThatOfPython) {
  const auto floor_div = [](int a, int b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); };
  const auto wrap = [](int v) { return static_cast<int8_t>(v); };
  Tensor a = arange(-128, 128, 1, DType::i8).unsqueeze(1), b = arange(-128, 128, 1, DType::i8);
  const auto check = [&](IntegerBinary op, auto want) {
    const Tensor got = integer_binary(op, a, b, "op");
    for (int64_t i = 0; i < a.numel(); ++i) {
      for (int64_t j = 0; j < b.numel(); ++j) {
        const int x = a.data<int8_t>()[i], y = b.data<int8_t>()[j];
        ASSERT_EQ(got.data<int8_t>()[i * b.numel() + j], wrap(want(x, y))) << x << " " << y;
      }
    }
  };
  check(IntegerBinary::add, [](int x, int y) { return x + y; });
  check(IntegerBinary::sub, [](int x, int y) { return x - y; });
  check(IntegerBinary::mul, [](int x, int y) { return x * y; });
  check(IntegerBinary::bitwise_and, [](int x, int y) { return x & y; });
  check(IntegerBinary::bitwise_or, [](int x, int y) { return x | y; });
  check(IntegerBinary::bitwise_xor, [](int x, int y) { return x ^ y; });
  b = b[{Slice(128)}];
  check(IntegerBinary::left_shift, [](int x, int y) { return y >= 8 ? 0 : x * (1 << y); });
  check(IntegerBinary::right_shift, [](int x, int y) { return x >> std::min(y, 7); });
  b = Tensor::of({-128, -7, -3, -1, 1, 2, 5, 127}, DType::i8);
  check(IntegerBinary::floor_divide, floor_div);
  check(IntegerBinary::remainder, [&](int x, int y) { return x - floor_div(x, y) * y; });
}

TEST(Integer, WideAndUnsignedTypesWrap) {
  const auto of = [](int64_t value, DType dtype) { return Tensor::of({value}, dtype); };
  const int64_t most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();
  const auto run = [&](IntegerBinary op, int64_t a, int64_t b, DType dtype) {
    return integer_binary(op, of(a, dtype), of(b, dtype), "op").to(DType::i64).data<int64_t>()[0];
  };
  EXPECT_EQ(run(IntegerBinary::add, most, 1, DType::i64), least);
  EXPECT_EQ(run(IntegerBinary::mul, most, most, DType::i64), 1);
  EXPECT_EQ(run(IntegerBinary::floor_divide, least, -1, DType::i64), least);
  EXPECT_EQ(run(IntegerBinary::remainder, least, -1, DType::i64), 0);
  EXPECT_EQ(run(IntegerBinary::mul, 1 << 20, 1 << 20, DType::i32), 0);
  EXPECT_EQ(run(IntegerBinary::sub, 1, 2, DType::u8), 255);
  EXPECT_EQ(run(IntegerBinary::right_shift, 255, 9, DType::u8), 0);
  EXPECT_EQ(run(IntegerBinary::left_shift, 1, 63, DType::i64), least);
  EXPECT_EQ(values_of(bitwise_not(of(5, DType::u8))), (Values{250}));
  EXPECT_EQ(values_of(bitwise_not(of(1, DType::boolean))), (Values{0}));
  EXPECT_EQ(values_of(bitwise_and(of(1, DType::boolean), of(0, DType::boolean))), (Values{0}));
}

TEST(Integer, RefusesWithTypedErrors) {
  const Tensor x = Tensor::of({1, 0}, DType::i32), minus = Tensor::of({-1, 0}, DType::i32);
  EXPECT_EQ(message_of<ValueError>([&] { integer_binary(IntegerBinary::floor_divide, x, x, "div"); }),
            "div: division by zero");
  EXPECT_THROW(integer_binary(IntegerBinary::remainder, x, x, "remainder"), ValueError);
  EXPECT_THROW(bitwise_left_shift(x, minus), ValueError);
  EXPECT_THROW(bitwise_and(x, x.to(DType::i64)), DTypeError);
  EXPECT_THROW(bitwise_and(zeros({2}), zeros({2})), DTypeError);
  EXPECT_THROW(integer_binary(IntegerBinary::add, x, Tensor::arange(3, DType::i32), "add"), ShapeError);
}

}  // namespace
}  // namespace qing
