#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include <qing/tensor/creation.h>

namespace qing {
namespace {

TEST(Print, AlignsColumns) {
  EXPECT_EQ(to_string(Tensor::of({{1.5, -2}, {100.25, 4}})),
            "Tensor f32 [2, 2]\n"
            "[[  1.5000,  -2.0000],\n"
            " [100.2500,   4.0000]]");
}

TEST(Print, WholeNumbersHaveABarePoint) {
  EXPECT_EQ(to_string(Tensor::of({1, 20, 3}, DType::f16)), "Tensor f16 [3]\n[ 1., 20.,  3.]");
  EXPECT_EQ(to_string(Tensor::of(7)), "Tensor f32 []\n7.");
}

TEST(Print, ExtremeSizesHaveExponents) {
  EXPECT_EQ(to_string(Tensor::of({1e-5, 1})), "Tensor f32 [2]\n[1.0000e-05, 1.0000e+00]");
  EXPECT_EQ(to_string(Tensor::of({1, 1001})), "Tensor f32 [2]\n[1.0000e+00, 1.0010e+03]");
  EXPECT_EQ(to_string(Tensor::of({1, 1000})), "Tensor f32 [2]\n[   1., 1000.]");
  EXPECT_EQ(to_string(Tensor::of({2e9}, DType::f64)), "Tensor f64 [1]\n[2.0000e+09]");
}

TEST(Print, NotANumberAndInfinities) {
  EXPECT_EQ(to_string(Tensor::of({NAN, -INFINITY, 1.5})), "Tensor f32 [3]\n[   nan,   -inf, 1.5000]");
}

TEST(Print, IntegersAndBools) {
  EXPECT_EQ(to_string(Tensor::of({{1, -20}}, DType::i64)), "Tensor i64 [1, 2]\n[[  1, -20]]");
  EXPECT_EQ(to_string(Tensor::of({255, 0}, DType::u8)), "Tensor u8 [2]\n[255,   0]");
  EXPECT_EQ(to_string(Tensor::of({true, false}, DType::boolean)), "Tensor bool [2]\n[ True, False]");
}

TEST(Print, MoreDimensionsAreBlocksApart) {
  EXPECT_EQ(to_string(Tensor::arange(8).reshape({2, 2, 2}).transpose(0, 2)),
            "Tensor i64 [2, 2, 2]\n"
            "[[[0, 4],\n"
            "  [2, 6]],\n"
            "\n"
            " [[1, 5],\n"
            "  [3, 7]]]");
}

TEST(Print, ElidesLongDimensions) {
  EXPECT_EQ(to_string(Tensor::arange(2000)), "Tensor i64 [2000]\n[   0,    1,    2, ..., 1997, 1998, 1999]");
  EXPECT_EQ(to_string(Tensor::arange(1001 * 2).reshape({1001, 2})),
            "Tensor i64 [1001, 2]\n"
            "[[   0,    1],\n"
            " [   2,    3],\n"
            " [   4,    5],\n"
            " ...,\n"
            " [1996, 1997],\n"
            " [1998, 1999],\n"
            " [2000, 2001]]");
}

TEST(Print, LongLinesAreFolded) {
  const std::string text = to_string(Tensor::arange(30));
  EXPECT_EQ(text,
            "Tensor i64 [30]\n"
            "[ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17, 18,\n"
            " 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]");
}

TEST(Print, NothingAndUndefined) {
  EXPECT_EQ(to_string(Tensor::empty({0, 3})), "Tensor f32 [0, 3]\n[]");
  EXPECT_EQ(to_string(Tensor()), "Tensor undefined");
  std::ostringstream out;
  out << Tensor::of({1.5});
  EXPECT_EQ(out.str(), "Tensor f32 [1]\n[1.5000]");
}

}  // namespace
}  // namespace qing
