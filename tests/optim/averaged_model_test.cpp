#include <gtest/gtest.h>
#include <qing/optim/averaged_model.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

double value(const Tensor& t) { return t.data<double>()[0]; }

TEST(AveragedModel, FollowsItsFormulas) {
  const double weights[] = {1, 3, 8};
  Tensor p = Tensor::full({1}, 100, DType::f64);
  AveragedModel exponential({p}, ema(0.75)), young({p}, ema_with_warmup(0.75)), mean({p});
  for (const double w : weights) {
    p.fill(w);
    for (AveragedModel* average : {&exponential, &young, &mean}) average->update();
  }
  EXPECT_DOUBLE_EQ(value(exponential.averages()[0]), 0.75 * (0.75 * 1 + 0.25 * 3) + 0.25 * 8);
  const double d2 = 3 / 12.0, d3 = 4 / 13.0;
  EXPECT_DOUBLE_EQ(value(young.averages()[0]), d3 * (d2 * 1 + (1 - d2) * 3) + (1 - d3) * 8);
  EXPECT_DOUBLE_EQ(value(mean.averages()[0]), 4);
  EXPECT_EQ(ema_with_warmup(0.75)(1000), 0.75);
}

TEST(AveragedModel, SwapsInAndOut) {
  Tensor p = Tensor::full({2}, 1, DType::f64);
  AveragedModel average({p}, ema(0.5));
  EXPECT_THROW(AveragedModel::Swap swap(average), ValueError);
  average.update();
  p.fill(5);
  average.update();
  const uint64_t version = p.version();
  {
    const AveragedModel::Swap swap(average);
    EXPECT_EQ(value(p), 3);
    EXPECT_GT(p.version(), version);
  }
  EXPECT_EQ(value(p), 5);
  EXPECT_EQ(value(average.averages()[0]), 3);
}

TEST(AveragedModel, ResumesToTheBit) {
  Tensor p = Tensor::full({3}, 0.1);
  AveragedModel first({p}, ema(0.9)), second({p}, ema(0.9));
  for (int i = 0; i < 3; ++i) p.fill(0.3 * i), first.update();
  second.load_state_dict(first.state_dict());
  p.fill(7);
  first.update();
  second.update();
  EXPECT_EQ(first.averages()[0].span<float>()[2], second.averages()[0].span<float>()[2]);
  EXPECT_EQ(second.updates(), 4);
  EXPECT_THROW(second.load_state_dict({}), DataError);
}

TEST(AveragedModel, RefusesBadArguments) {
  EXPECT_THROW(ema(1), ValueError);
  EXPECT_THROW(ema_with_warmup(-0.1), ValueError);
  EXPECT_THROW(AveragedModel({}), ValueError);
  EXPECT_THROW(AveragedModel({Tensor::zeros({1}, DType::i64)}), DTypeError);
}

// Swapping twice would lose the weights.
TEST(AveragedModel, RefusesAParameterThatIsListedTwice) {
  const Tensor p = Tensor::full({2}, 1, DType::f64), q = Tensor::full({2}, 2, DType::f64);
  EXPECT_THROW(AveragedModel({p, q, p}), ValueError);
  EXPECT_NO_THROW(AveragedModel({p, q}));
}

}  // namespace
}  // namespace qing::optim
