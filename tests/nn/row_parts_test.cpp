#include <qing/nn/layers/row_parts.h>

#include <gtest/gtest.h>

#include <atomic>

#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/threads.h>

#include "nn/normal_tensor.h"

namespace qing::nn {
namespace {

class RowParts : public ::testing::Test {
 protected:
  ~RowParts() override { set_num_threads(before_); }
  int before_ = num_threads();
};

TEST_F(RowParts, AreForManyRowsOrFewWeightsAndThreads) {
  const NoGradGuard guard;
  const auto shares = [](int64_t rows, int64_t bytes) { return shares_rows(Tensor::zeros({rows, 8}), bytes); };
  set_num_threads(2);
  EXPECT_TRUE(shares(64, 1 << 22));
  EXPECT_TRUE(shares(16, 1 << 19));
  EXPECT_FALSE(shares(16, 1 << 22)) << "every thread would read all weights for a few rows";
  EXPECT_FALSE(shares(16, 1 << 12)) << "too little work";
  EXPECT_FALSE(shares(1, 1 << 22));
  {
    const EnableGradGuard gradients;
    EXPECT_FALSE(shares(64, 1 << 22));
  }
  {
    const AutocastGuard autocast;
    EXPECT_FALSE(shares(64, 1 << 22));
  }
  set_num_threads(1);
  EXPECT_FALSE(shares(64, 1 << 22));
}

TEST_F(RowParts, AreTheRowsInOrder) {
  const NoGradGuard guard;
  Generator rng(1);
  const Tensor x = test::normal({7, 3}, rng), y = test::normal({7, 4}, rng);
  for (const int threads : {1, 2, 3, 7, 10}) {
    set_num_threads(threads);
    std::atomic<int> rows{0};
    const Tensor joined = in_row_parts(x, y, [&](const Tensor& a, const Tensor& b) {
      rows += static_cast<int>(a.size(0));
      EXPECT_GT(a.size(0), 0);
      EXPECT_EQ(a.size(0), b.size(0));
      EXPECT_EQ(num_threads(), 1);
      EXPECT_FALSE(grad_enabled());
      return cat({a, b}, 1);
    });
    EXPECT_TRUE(equal(joined, cat({x, y}, 1)));
    EXPECT_EQ(rows, 7);
    EXPECT_EQ(num_threads(), threads);
    EXPECT_THROW(in_row_parts(x, y, [](const Tensor&, const Tensor&) -> Tensor { throw ValueError("no"); }),
                 ValueError);
  }
}

// A block computes attention by heads and all else by rows.
TEST_F(RowParts, DoNotChangeABlocksBits) {
  const NoGradGuard guard;
  Generator rng(2);
  for (const NormKind norm : {NormKind::layer_norm, NormKind::rms_norm}) {
    TransformerEncoderLayer layer(128, 4, rng,
                                  {.dim_feedforward = 400, .activation = FeedForwardActivation::gelu, .norm = norm});
    layer.eval();
    for (const DType precision : {DType::f32, DType::bf16, DType::i8}) {
      pack_linear_layers(layer, precision);
      for (const int64_t tokens : {57, 64, 130}) {
        const Tensor x = test::normal({tokens, 128}, rng);
        set_num_threads(1);
        const Tensor want = layer.forward(x, Offsets{0, 5, tokens});
        for (const int threads : {2, 3}) {
          set_num_threads(threads);
          EXPECT_TRUE(shares_rows(x, 128 * 128 + 2 * 128 * 400));
          EXPECT_TRUE(equal(layer.forward(x, Offsets{0, 5, tokens}), want)) << tokens << ", " << threads;
        }
      }
    }
  }
}

class ProjectedBlock : public EncoderBlock<ProjectedAttention> {
 public:
  explicit ProjectedBlock(Generator& rng)
      : EncoderBlock(ProjectedAttention("ProjectedBlock", 128, {.heads = 4}, rng),
                     {.width = 128, .hidden = 400, .sublayers = {.activation = FeedForwardActivation::gelu}}, rng) {}
  void visit(Visitor& visitor) override {
    visitor.module("attention", attention_);
    visitor.module("wide", wide_);
    visitor.module("narrow", narrow_);
  }
};

// Where the instruction set can, this block attends in bf16.
TEST_F(RowParts, DoNotChangeTheBitsOfABlockInBf16) {
  const NoGradGuard guard;
  Generator rng(2);
  ProjectedBlock block(rng);
  for (const int64_t tokens : {57, 64, 130}) {
    const Offsets offsets{0, 5, tokens}, one_each{0, 1, 2};
    const Tensor x = test::normal({tokens, 128}, rng), wanted = index_select(x, 0, Tensor::from<int64_t>({0, 5}, {2}));
    pack_linear_layers(block);
    const Tensor full = block.forward(x, offsets);
    pack_linear_layers(block, DType::bf16);
    set_num_threads(1);
    const Tensor want = block.forward(x, offsets), firsts = block.forward_rows(wanted, one_each, x, offsets);
    EXPECT_LT(max(abs(want - full)).item(), 0.05);
    EXPECT_GT(max(abs(want - full)).item(), 1e-5);
    EXPECT_TRUE(equal(firsts, index_select(want, 0, Tensor::from<int64_t>({0, 5}, {2}))));
    for (const int threads : {2, 3}) {
      set_num_threads(threads);
      EXPECT_TRUE(equal(block.forward(x, offsets), want)) << tokens << ", " << threads;
      EXPECT_TRUE(equal(block.forward_rows(wanted, one_each, x, offsets), firsts)) << tokens << ", " << threads;
    }
  }
  EXPECT_THROW(block.forward(test::normal({7, 128}, rng), Offsets{0, 5}), ValueError);
}

TEST_F(RowParts, OfNoRowsAreOneCall) {
  const NoGradGuard guard;
  set_num_threads(3);
  std::atomic<int> calls{0};
  const Tensor none = in_row_parts(Tensor::zeros({0, 3}), Tensor::zeros({0, 2}), [&](const Tensor& x, const Tensor& y) {
    ++calls;
    return cat({x, y}, 1);
  });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(none.shape(), (Shape{0, 5}));
}

TEST_F(RowParts, DoNotChangeTheBitsOfWantedRows) {
  const NoGradGuard guard;
  Generator rng(2);
  TransformerEncoderLayer layer(128, 4, rng, {.dim_feedforward = 400, .activation = FeedForwardActivation::gelu});
  const int64_t sequences = 90;
  Offsets offsets{0}, one_each{0};
  const Tensor firsts = Tensor::empty({sequences}, DType::i64);
  for (int64_t s = 0; s < sequences; ++s) {
    firsts.data<int64_t>()[s] = offsets.back();
    offsets.push_back(offsets.back() + 1 + s % 4);
    one_each.push_back(s + 1);
  }
  const Tensor x = test::normal({offsets.back(), 128}, rng), wanted = index_select(x, 0, firsts);
  for (const DType precision : {DType::f32, DType::i8}) {
    pack_linear_layers(layer, precision);
    set_num_threads(1);
    const Tensor want = layer.forward_rows(wanted, one_each, x, offsets),
                 all = index_select(layer.forward(x, offsets), 0, firsts);
    EXPECT_TRUE(allclose(want, all, 1e-5, 1e-5));
    for (const int threads : {2, 3}) {
      set_num_threads(threads);
      EXPECT_TRUE(shares_rows(wanted, 128 * 128 + 2 * 128 * 400));
      EXPECT_TRUE(equal(layer.forward_rows(wanted, one_each, x, offsets), want)) << threads;
    }
  }
}

}  // namespace
}  // namespace qing::nn
