#include <qing/nn/models/batch_parts.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/joining.h>
#include <qing/nn/models/encoder.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

RaggedBatch batch_of(const std::vector<int64_t>& lengths) {
  std::vector<std::vector<int32_t>> ids;
  std::vector<std::span<const int32_t>> sequences;
  int32_t next = 0;
  for (const int64_t length : lengths) {
    auto& one = ids.emplace_back();
    for (int64_t i = 0; i < length; ++i) one.push_back(next++ % 90);
  }
  sequences.assign(ids.begin(), ids.end());
  return RaggedBatch::of(sequences);
}

std::vector<int64_t> copies(int64_t count, int64_t length) { return std::vector<int64_t>(count, length); }

class BatchParts : public ::testing::Test {
 protected:
  ~BatchParts() override { set_num_threads(before_); }

  // The parts' numbers of sequences.
  std::vector<int64_t> parts(const std::vector<int64_t>& lengths, int threads) {
    set_num_threads(threads);
    std::mutex mutex;
    std::vector<std::pair<int32_t, int64_t>> seen;
    const RaggedBatch batch = batch_of(lengths);
    const Tensor ids = in_parts(batch, [&](const RaggedBatch& part) {
      EXPECT_EQ(part.offsets.front(), 0);
      EXPECT_EQ(part.tokens(), part.ids.size(0));
      for (int64_t s = 0; s < part.sequences(); ++s) {
        EXPECT_EQ(part.firsts.data<int64_t>()[s], part.offsets[s]);
        EXPECT_EQ(part.positions.data<int32_t>()[part.offsets[s]], 0);
      }
      const std::lock_guard lock(mutex);
      seen.emplace_back(part.ids.data<int32_t>() - batch.ids.data<int32_t>(), part.sequences());
      return part.ids;
    });
    EXPECT_TRUE(equal(ids, batch.ids));
    std::ranges::sort(seen);
    std::vector<int64_t> counts;
    for (const auto& [at, count] : seen) counts.push_back(count);
    return counts;
  }

  int before_ = num_threads();
};

TEST_F(BatchParts, ShareTheTokensAmongTheThreads) {
  const NoGradGuard guard;
  using Counts = std::vector<int64_t>;
  EXPECT_EQ(parts(copies(8, 32), 1), (Counts{8}));
  EXPECT_EQ(parts(copies(8, 32), 2), (Counts{4, 4}));
  EXPECT_EQ(parts(copies(32, 64), 2), copies(8, 4));
  EXPECT_EQ(parts(copies(4, 400), 2), copies(4, 1));
  EXPECT_EQ(parts({60, 20, 20, 20}, 2), (Counts{1, 3}));
  EXPECT_EQ(parts({90}, 2), (Counts{1}));
  EXPECT_EQ(parts({100, 10}, 2), (Counts{2})) << "too unequal for two threads";
  EXPECT_EQ(parts(copies(3, 50), 4), (Counts{1, 1, 1}));
  EXPECT_EQ(parts(copies(2, 50), 4), (Counts{2})) << "fewer sequences than threads";
}

TEST_F(BatchParts, AreOneForFewTokens) {
  const NoGradGuard guard;
  for (const int threads : {2, 3}) {
    EXPECT_EQ(parts(copies(threads, 16), threads), copies(threads, 1));
    EXPECT_EQ(parts(copies(threads, 15), threads), (std::vector<int64_t>{threads})) << "each would read all weights";
  }
}

TEST_F(BatchParts, AreOneWithGradientsAndUnderAutocast) {
  EXPECT_EQ(parts(copies(8, 32), 2).size(), 1U);
  const NoGradGuard guard;
  const AutocastGuard autocast;
  EXPECT_EQ(parts(copies(8, 32), 2).size(), 1U);
}

TEST_F(BatchParts, RunWithoutGradientsAndThreads) {
  const NoGradGuard guard;
  set_num_threads(2);
  std::atomic<int> wrong{0};
  in_parts(batch_of(copies(8, 32)), [&](const RaggedBatch& part) {
    wrong += grad_enabled() || num_threads() != 1;
    return part.ids;
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(num_threads(), 2);
}

TEST_F(BatchParts, PassAnExceptionOn) {
  const NoGradGuard guard;
  set_num_threads(2);
  EXPECT_THROW(in_parts(batch_of(copies(8, 32)), [](const RaggedBatch&) -> Tensor { throw IndexError("an id"); }),
               IndexError);
}

EncoderConfig small(EncoderFamily family, int64_t heads = 4) {
  return {.family = family,
          .vocab_size = 100,
          .hidden_size = 32,
          .num_hidden_layers = 2,
          .num_attention_heads = heads,
          .intermediate_size = 48,
          .max_position_embeddings = 96,
          .initializer_range = 0.3};
}

// A part of an MPNet has relative biases for its own longest sequence.
TEST_F(BatchParts, OfAnEncoderHaveTheBitsOfSingleSequences) {
  const RaggedBatch batch = batch_of({5, 70, 1, 33, 64, 80, 17, 2, 49, 66, 71, 28});
  const NoGradGuard guard;
  // One head of 32 columns attends in bf16 where the instruction set can.
  for (const auto& [family, heads] :
       {std::pair{EncoderFamily::bert, 4}, {EncoderFamily::mpnet, 4}, {EncoderFamily::bert, 1}}) {
    Generator rng(4);
    Encoder encoder(small(family, heads), rng, false);
    for (const DType precision : {DType::f32, DType::bf16, DType::i8}) {
      pack_linear_layers(encoder, precision);
      for (const int threads : {1, 2, 3}) {
        set_num_threads(threads);
        const Tensor all = encoder.forward(batch), firsts = encoder.forward_firsts(batch);
        for (int64_t s = 0; s < batch.sequences(); ++s) {
          const RaggedBatch one = batch.part(s, s + 1);
          EXPECT_TRUE(equal(encoder.forward(one), all.slice(0, batch.offsets[s], batch.offsets[s + 1]))) << s;
          EXPECT_TRUE(equal(encoder.forward_firsts(one), firsts.slice(0, s, s + 1))) << s;
        }
      }
    }
  }
}

TEST_F(BatchParts, OfAnEncoderShareNoGenerator) {
  const RaggedBatch batch = batch_of(copies(8, 32));
  const NoGradGuard guard;
  Generator rng(4);
  Encoder encoder(small(EncoderFamily::bert), rng, false);
  for (const char* part : {"embeddings", "encoder.layer.1", "encoder.layer.0.attention.self"}) {
    encoder.eval();
    encoder.get_submodule(part).train();  // the encoder stays in evaluation mode
    const auto drawn = [&](int threads) {
      set_num_threads(threads);
      EXPECT_THROW(encoder.forward(batch), ValueError) << part;
      EXPECT_THROW(encoder.forward_firsts(batch), ValueError) << part;
      Generator same(7);
      const Tensor all = encoder.forward(batch, &same);
      return cat({all, encoder.forward_firsts(batch, &same)});
    };
    const Tensor want = drawn(1);
    for (const int threads : {2, 3}) EXPECT_TRUE(equal(drawn(threads), want)) << part;
  }
}

}  // namespace
}  // namespace qing::nn
