// Numbers beside integer tensors, compared with arithmetic in 128 bits.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/compare.h>

#include "nn/temp_folder.h"

namespace qing {
namespace {

using test::message_of;
__extension__ typedef __int128 Wide;
__extension__ typedef unsigned __int128 Wrapped;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kMost = std::numeric_limits<int64_t>::max(), kLeast = std::numeric_limits<int64_t>::min();
const std::vector<DType> kIntegers = {DType::u8, DType::i8, DType::i32, DType::i64};

// A number as written, and its exact value.
struct Number {
  Scalar scalar;
  Wide value;
};

std::vector<Number> numbers() {
  std::vector<Number> all;
  for (const int64_t n : std::initializer_list<int64_t>{0,
                                                        1,
                                                        -1,
                                                        2,
                                                        -2,
                                                        127,
                                                        128,
                                                        -128,
                                                        -129,
                                                        200,
                                                        255,
                                                        256,
                                                        -255,
                                                        -256,
                                                        300,
                                                        65536,
                                                        (1LL << 31) - 1,
                                                        1LL << 31,
                                                        -(1LL << 31),
                                                        -(1LL << 31) - 1,
                                                        3000000000,
                                                        (1LL << 53) + 1,
                                                        -(1LL << 53) - 1,
                                                        kMost,
                                                        kLeast}) {
    all.push_back({Scalar(n), n});
    if (std::fabs(static_cast<double>(n)) < 0x1p53) all.push_back({Scalar(static_cast<double>(n)), n});
  }
  all.push_back({Scalar(0x1p63), Wide(1) << 63});
  all.push_back({Scalar(-0x1p63), -(Wide(1) << 63)});
  all.push_back({Scalar(0x1.8p70), Wide(3) << 69});
  all.push_back({Scalar(std::numeric_limits<uint64_t>::max()), (Wide(1) << 64) - 1});
  return all;
}

// The tested elements of a dtype: its limits and some between.
template <class T> std::vector<T> elements() {
  using Limits = std::numeric_limits<T>;
  return {Limits::min(), T(Limits::min() + 1), T(0), T(1), T(7), T(100), T(Limits::max() - 1), Limits::max()};
}

template <class T> Tensor tensor_of(const std::vector<T>& values) {
  return Tensor::from<T>(std::span<const T>(values), {static_cast<int64_t>(values.size())});
}

template <class T> bool holds(Wide value) {
  return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
}

// Calls body(T, number) for every integer dtype and number.
template <class Body> void for_each_pair(Body body) {
  for (const DType dtype : kIntegers) {
    dispatch_integer(dtype, "test", [&](auto zero) {
      for (const Number& number : numbers()) {
        SCOPED_TRACE(std::string(name_of(dtype)) + " beside " + std::to_string(static_cast<double>(number.value)));
        body(zero, number);
      }
    });
  }
}

TEST(Scalar, ArithmeticWrapsTheExactResult) {
  using Operation = std::function<Tensor(Tensor, Scalar)>;
  using Exact = std::function<Wrapped(Wrapped, Wrapped)>;
  const auto twice_less = [](Wrapped x, Wrapped n) { return x - n * x; };
  const std::vector<std::tuple<std::string, Operation, Exact>> operations = {
      {"x + n", [](Tensor x, Scalar n) { return x + n; }, [](Wrapped x, Wrapped n) { return x + n; }},
      {"n + x", [](Tensor x, Scalar n) { return n + x; }, [](Wrapped x, Wrapped n) { return x + n; }},
      {"x - n", [](Tensor x, Scalar n) { return x - n; }, [](Wrapped x, Wrapped n) { return x - n; }},
      {"n - x", [](Tensor x, Scalar n) { return n - x; }, [](Wrapped x, Wrapped n) { return n - x; }},
      {"x * n", [](Tensor x, Scalar n) { return x * n; }, [](Wrapped x, Wrapped n) { return x * n; }},
      {"n * x", [](Tensor x, Scalar n) { return n * x; }, [](Wrapped x, Wrapped n) { return x * n; }},
      {"x += n", [](Tensor x, Scalar n) { return x += n; }, [](Wrapped x, Wrapped n) { return x + n; }},
      {"x -= n", [](Tensor x, Scalar n) { return x -= n; }, [](Wrapped x, Wrapped n) { return x - n; }},
      {"x *= n", [](Tensor x, Scalar n) { return x *= n; }, [](Wrapped x, Wrapped n) { return x * n; }},
      {"add_", [](Tensor x, Scalar n) { return x.add_(n); }, [](Wrapped x, Wrapped n) { return x + n; }},
      {"sub_", [](Tensor x, Scalar n) { return x.sub_(n); }, [](Wrapped x, Wrapped n) { return x - n; }},
      {"mul_", [](Tensor x, Scalar n) { return x.mul_(n); }, [](Wrapped x, Wrapped n) { return x * n; }},
      {"add_ alpha", [](Tensor x, Scalar n) { return x.add_(x, n); }, [](Wrapped x, Wrapped n) { return x + n * x; }},
      {"sub_ alpha", [](Tensor x, Scalar n) { return x.sub_(x, n); }, twice_less},
      {"index_add alpha", [](Tensor x, Scalar n) { return index_add(x, 0, Tensor::arange(x.numel()), x, n); },
       [](Wrapped x, Wrapped n) { return x + n * x; }},
      {"index_put accumulate", [](Tensor x, Scalar n) { return index_put(x, {Tensor::arange(x.numel())}, n, true); },
       [](Wrapped x, Wrapped n) { return x + n; }},
  };
  for_each_pair([&](auto zero, const Number& number) {
    using T = decltype(zero);
    const auto values = elements<T>();
    for (const auto& [name, operation, exact] : operations) {
      const Tensor y = operation(tensor_of(values), number.scalar);
      ASSERT_EQ(y.dtype(), dtype_of<T>) << name;
      for (size_t i = 0; i < values.size(); ++i) {
        // Products may exceed 128 bits, which wrap too.
        const auto want = static_cast<T>(exact(static_cast<Wrapped>(values[i]), static_cast<Wrapped>(number.value)));
        EXPECT_EQ(y.data<T>()[i], want) << name << ", x = " << static_cast<int64_t>(values[i]);
      }
    }
  });
}

TEST(Scalar, ElementsAreSetToTheNumberOrRefuseIt) {
  using Setter = std::function<Tensor(Tensor, Scalar)>;
  const Tensor yes = Tensor::full({1}, 1, DType::boolean), no = Tensor::full({1}, 0, DType::boolean);
  const std::vector<std::pair<std::string, Setter>> setters = {
      {"full", [](Tensor x, Scalar n) { return full({1}, n, x.dtype()); }},
      {"full", [](Tensor x, Scalar n) { return Tensor::full({1}, n, x.dtype()); }},
      {"full", [](Tensor x, Scalar n) { return full_like(x, n); }},
      {"full", [](Tensor x, Scalar n) { return scalar_tensor(n, x.dtype()); }},
      {"fill", [](Tensor x, Scalar n) { return x.fill(n), x; }},
      {"set", [](Tensor x, Scalar n) { return x.set({0}, n), x; }},
      {"masked_fill_", [&](Tensor x, Scalar n) { return x.masked_fill_(yes, n); }},
      {"masked_fill", [&](Tensor x, Scalar n) { return masked_fill(x, yes, n); }},
      {"where", [&](Tensor x, Scalar n) { return where(yes, n, x); }},
      {"where", [&](Tensor x, Scalar n) { return where(no, x, n); }},
      {"scatter", [](Tensor x, Scalar n) { return scatter(x, 0, Tensor::of({0}, DType::i64), n); }},
      {"index_put", [](Tensor x, Scalar n) { return index_put(x, {Tensor::of({0}, DType::i64)}, n); }},
      {"pad",
       [](Tensor x, Scalar n) {
         return pad(x, {1, 0}, PadMode::constant, n)[{Slice(0, 1)}];
       }},
      {"Tensor::of",
       [](Tensor x, Scalar n) {
         return std::visit([&](auto value) { return Tensor::of({value}, x.dtype()); }, n.value());
       }},
  };
  for_each_pair([&](auto zero, const Number& number) {
    using T = decltype(zero);
    for (const auto& [name, setter] : setters) {
      const Tensor x = tensor_of(std::vector<T>{5});
      if (holds<T>(number.value)) {
        EXPECT_EQ(setter(x, number.scalar).template data<T>()[0], static_cast<T>(number.value)) << name;
      } else {
        const std::string message = message_of<ValueError>([&] { setter(x, number.scalar); });
        EXPECT_EQ(message.rfind(name + ": ", 0), 0U) << name << ": " << message;
        EXPECT_EQ(x.data<T>()[0], T(5)) << name;
      }
    }
  });
  for (const auto& [name, setter] : setters) {
    for (const DType dtype : kIntegers) {
      SCOPED_TRACE(name + " of " + name_of(dtype));
      const auto put = [&, &setter = setter](double value) {
        return setter(Tensor::full({1}, 5, dtype), value).to(DType::f64).item();
      };
      EXPECT_EQ(put(2.75), 2);
      EXPECT_EQ(put(-0.75), 0);
      for (const double bad : {kNan, kInfinity, -kInfinity, 1e300}) EXPECT_THROW(put(bad), ValueError);
    }
  }
  EXPECT_EQ(full({1}, 255.75, DType::u8).item(), 255);
  EXPECT_THROW(full({1}, -1.0, DType::u8), ValueError);
  EXPECT_EQ(message_of<ValueError>([] { full({1}, 300, DType::u8); }),
            "full: 300 is out of the range of u8, 0 to 255; use a wider dtype");
}

TEST(Scalar, ComparisonsWithIntegersAreThoseOfTheNumbers) {
  for_each_pair([](auto zero, const Number& number) {
    using T = decltype(zero);
    const auto values = elements<T>();
    const Tensor x = tensor_of(values);
    const auto check = [&](const Tensor& got, auto want) {
      for (size_t i = 0; i < values.size(); ++i) {
        EXPECT_EQ(got.data<bool>()[i], want(Wide(values[i]), number.value)) << static_cast<int64_t>(values[i]);
      }
    };
    check(eq(x, number.scalar), [](Wide a, Wide b) { return a == b; });
    check(ne(x, number.scalar), [](Wide a, Wide b) { return a != b; });
    check(lt(x, number.scalar), [](Wide a, Wide b) { return a < b; });
    check(le(x, number.scalar), [](Wide a, Wide b) { return a <= b; });
    check(gt(x, number.scalar), [](Wide a, Wide b) { return a > b; });
    check(ge(x, number.scalar), [](Wide a, Wide b) { return a >= b; });
  });
  for (const DType dtype : kIntegers) {
    const Tensor x = Tensor::full({1}, 2, dtype);
    EXPECT_EQ(lt(x, 2.5).item(), 1);
    EXPECT_EQ(eq(x, 2.5).item(), 0);
    EXPECT_EQ(gt(x, -kInfinity).item(), 1);
    EXPECT_EQ(ge(x, kInfinity).item(), 0);
    EXPECT_EQ(eq(x, kNan).item() + lt(x, kNan).item() + ge(x, kNan).item(), 0);
    EXPECT_EQ(ne(x, kNan).item(), 1);
  }
}

TEST(Scalar, ABoundOutOfRangeHasNoEffectOrIsAnError) {
  for_each_pair([](auto zero, const Number& number) {
    using T = decltype(zero);
    const auto values = elements<T>();
    const auto check = [&](std::optional<Scalar> low, std::optional<Scalar> high, bool refused) {
      Tensor x = tensor_of(values);
      if (refused) {
        EXPECT_THROW(x.clamp_(low, high), ValueError);
        return;
      }
      x.clamp_(low, high);
      for (size_t i = 0; i < values.size(); ++i) {
        const Wide v = values[i], want = low ? std::max(v, number.value) : std::min(v, number.value);
        EXPECT_EQ(Wide(x.data<T>()[i]), want);
      }
    };
    check(number.scalar, std::nullopt, number.value > std::numeric_limits<T>::max());
    check(std::nullopt, number.scalar, number.value < std::numeric_limits<T>::min());
  });
  Tensor x = Tensor::of({3}, DType::u8);
  EXPECT_EQ(x.clamp_(-kInfinity, kInfinity).item(), 3);
  EXPECT_THROW(x.clamp_(kInfinity, std::nullopt), ValueError);
  EXPECT_THROW(x.clamp_(0.5, std::nullopt), ValueError);
  EXPECT_THROW(x.clamp_(std::nullopt, kNan), ValueError);
}

TEST(Scalar, ARefusedClampChangesNothing) {
  Tensor x = Tensor::full({3}, 2, DType::u8);
  const uint64_t version = x.version();
  EXPECT_THROW(x.clamp_(5, -1), ValueError);
  EXPECT_EQ(x.at({0}), 2);
  EXPECT_EQ(x.version(), version);
  x.clamp_(1, 4);
  EXPECT_EQ(x.version(), version + 1);
}

TEST(Scalar, ClampRefusesABoundOfNanForEveryDtype) {
  const auto check = [](Tensor& x) {
    const auto refused = [&](std::optional<Scalar> low, std::optional<Scalar> high) {
      return message_of<ValueError>([&] { x.clamp_(low, high); });
    };
    const std::string text = "clamp_: a bound is NaN; leave it out for none";
    EXPECT_EQ(refused(kNan, std::nullopt), text) << name_of(x.dtype());
    EXPECT_EQ(refused(0, kNan), text) << name_of(x.dtype());
    EXPECT_EQ(x.alias().at({0}), 1);
  };
  for (const DType dtype : {DType::f32, DType::f64, DType::u8, DType::i64}) {
    Tensor x = Tensor::full({2}, 1, dtype);
    check(x);
  }
  Tensor leaf = Tensor::full({2}, 1, DType::f64);
  set_requires_grad(leaf);
  Tensor recorded = leaf * 1.0;
  check(recorded);
}

TEST(Scalar, ArithmeticWithIntegersRefusesFractions) {
  for (const DType dtype : kIntegers) {
    Tensor x = Tensor::full({2}, 3, dtype);
    for (const double bad : {0.5, -1.5, kNan, kInfinity, -kInfinity}) {
      EXPECT_THROW(x + bad, DTypeError);
      EXPECT_THROW(bad - x, DTypeError);
      EXPECT_THROW(x * bad, DTypeError);
      EXPECT_THROW(x.add_(bad), ValueError);
      EXPECT_THROW(x.sub_(bad), ValueError);
      EXPECT_THROW(x.mul_(bad), ValueError);
      EXPECT_THROW(x.add_(x, bad), ValueError);
      EXPECT_THROW(x.sub_(x, bad), ValueError);
      EXPECT_NE(message_of<DTypeError>([&] { index_add(x, 0, Tensor::arange(2), x, bad); }).find("index_add: "),
                std::string::npos);
    }
    EXPECT_THROW(x.add_(Tensor::of({0.5})), DTypeError);  // a fraction would be lost
    EXPECT_THROW(x.mul_(Tensor::of({2.0}, DType::f64)), DTypeError);
    EXPECT_EQ(x.at({1}), 3);
    // Errors of operations that take only floating tensors name the operation, for any number.
    for (const double number : {2.0, 300.0, kInfinity}) {
      const auto names = [&](const std::string& op, auto&& call) {
        EXPECT_EQ(message_of<DTypeError>(call).rfind(op + ": needs f32 or f64", 0), 0U) << op;
      };
      names("div", [&] { x / number; });
      names("div", [&] { number / x; });
      names("div_", [&] { x.div_(number); });
      names("floor_divide", [&] { floor_divide(x, number); });
      names("remainder", [&] { remainder(x, number); });
      names("fmod", [&] { fmod(x, number); });
      names("pow", [&] { pow(x, number); });
      names("pow", [&] { pow(number, x); });
      names("clamp", [&] { clamp(x, number); });
      names("copysign", [&] { copysign(x, number); });
      names("lerp", [&] { lerp(x, x, number); });
    }
  }
}

TEST(Scalar, IntegerOperandsOfOtherWidthsWrap) {
  Tensor x = Tensor::of({1, 2}, DType::u8);
  x.add_(Tensor::of({300, -1}, DType::i32));
  EXPECT_EQ(x.at({0}), 45);
  EXPECT_EQ(x.at({1}), 1);
  x.sub_(Tensor::of({3, 2}, DType::u8));  // the factor −1 does not fit into u8
  EXPECT_EQ(x.at({0}), 42);
  EXPECT_EQ(x.at({1}), 255);
}

TEST(Scalar, RangesOfIntegersAreExact) {
  const int64_t odd = (1LL << 53) + 1;
  const auto check = [](const Tensor& x, const std::vector<int64_t>& want) {
    ASSERT_EQ(x.numel(), static_cast<int64_t>(want.size()));
    for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(x.to(DType::i64).data<int64_t>()[i], want[i]);
  };
  check(arange(odd - 2, odd + 2, 1, DType::i64), {odd - 2, odd - 1, odd, odd + 1});
  check(arange(-odd, -odd + 5, 2, DType::i64), {-odd, -odd + 2, -odd + 4});
  check(arange(0x1p53, 0x1p53 + 4, 1, DType::i64), {odd - 1, odd, odd + 1, odd + 2});
  check(arange(kMost - 3, kMost, 2, DType::i64), {kMost - 3, kMost - 1});
  check(arange(kLeast, kLeast + 2, 1, DType::i64), {kLeast, kLeast + 1});
  check(arange(kLeast + 1, kLeast, -3, DType::i64), {kLeast + 1});
  check(arange(kLeast, kMost, kMost, DType::i64), {kLeast, -1, kMost - 1});
  check(arange(0, 256, 51, DType::u8), {0, 51, 102, 153, 204, 255});
  EXPECT_EQ(arange(0, 1, 2).numel(), 1);
  EXPECT_EQ(arange(5, 5, -3).numel(), 0);
  EXPECT_THROW(arange(0, -1, 2), ValueError);
  EXPECT_THROW(arange(0, -0.5, 1), ValueError);
  EXPECT_THROW(arange(0, 300, 100, DType::i8), ValueError);
  EXPECT_THROW(arange(-1, 2, 1, DType::u8), ValueError);
  EXPECT_THROW(Tensor::arange(257, DType::u8), ValueError);
  EXPECT_EQ(Tensor::arange(256, DType::u8).at({255}), 255);
  EXPECT_THROW(linspace(0, 300, 3, DType::u8), ValueError);
  EXPECT_EQ(linspace(0, 255, 2, DType::u8).at({1}), 255);
  EXPECT_THROW(arange(kLeast, kMost, 1, DType::i64), ValueError);  // more than memory counts
}

TEST(Scalar, FloatingAndBooleanTensorsTakeAnyNumber) {
  EXPECT_EQ(full({1}, 1e300).item(), kInfinity);
  EXPECT_EQ((full({1}, 1) + 1e300).item(), kInfinity);
  EXPECT_TRUE(std::isnan(full({1}, kNan, DType::f16).item()));
  EXPECT_EQ(full({1}, (1LL << 53) + 3, DType::f64).item(), 0x1p53 + 4);
  EXPECT_EQ(full({1}, kNan, DType::boolean).item(), 1);
  EXPECT_EQ(full({1}, 300, DType::boolean).item(), 1);
  EXPECT_EQ(full({1}, 0.0, DType::boolean).item(), 0);
}

}  // namespace
}  // namespace qing
