#include <qing/nn/accuracy.h>

#include <gtest/gtest.h>

#include <qing/tensor/creation.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

TEST(Accuracy, IsTheShareOfRowsWhoseLargestLogitIsTheLabels) {
  const Tensor logits = Tensor::of({{0.1, 2.0, 0.3}, {3.0, 1.0, 2.0}, {0.0, 0.0, 1.0}, {5.0, 5.0, 1.0}});
  EXPECT_EQ(accuracy(logits, Tensor::of({1, 2, 2, 0}, DType::i64)), 0.75);  // the first of equal logits counts
  EXPECT_EQ(accuracy(logits.to(DType::f64), Tensor::of({1, 0, 2, 0}, DType::i32)), 1);
  EXPECT_EQ(accuracy(zeros({0, 3}), zeros({0}, DType::i64)), 0);
}

TEST(Accuracy, RefusesOtherShapesAndDtypes) {
  const Tensor logits = zeros({4, 3});
  EXPECT_THROW(accuracy(logits, zeros({3}, DType::i64)), ShapeError);
  EXPECT_THROW(accuracy(logits, zeros({4, 1}, DType::i64)), ShapeError);
  EXPECT_THROW(accuracy(zeros({4}), zeros({4}, DType::i64)), ShapeError);
  EXPECT_THROW(accuracy(zeros({4, 0}), zeros({4}, DType::i64)), ShapeError);
  EXPECT_THROW(accuracy(logits, zeros({4})), DTypeError);
}

}  // namespace
}  // namespace qing::nn
