// A training step reuses the memory of the previous step.
#include <gtest/gtest.h>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/models/encoder_heads.h>
#include <qing/optim/clip.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/allocator.h>
#include <qing/tensor/random.h>
#include <qing/tensor/threads.h>

#include <algorithm>
#include <span>
#include <vector>

namespace qing {
namespace {

class StepMemory : public ::testing::Test {
 protected:
  StepMemory() {
    // The memory that two threads need at the same moment depends on timing.
    set_num_threads(1);
    release_cached_memory();
    model_.set_requires_grad(true);
    model_.train();
    optimizer_ = std::make_unique<optim::AdamW>(model_.parameters());
  }
  ~StepMemory() override { set_num_threads(threads_); }

  static nn::ClassifierConfig config() {
    nn::ClassifierConfig config;
    config.encoder.vocab_size = 500;
    config.encoder.hidden_size = 64;
    config.encoder.intermediate_size = 256;
    config.encoder.num_attention_heads = 2;
    return config;
  }

  // A step on texts of these lengths.
  void step(const std::vector<int64_t>& lengths) {
    std::vector<std::vector<int32_t>> texts;
    for (const int64_t length : lengths) {
      texts.emplace_back();
      for (int64_t i = 0; i < length; ++i) texts.back().push_back(static_cast<int32_t>(rng_.below(500)));
    }
    const std::vector<std::span<const int32_t>> sequences(texts.begin(), texts.end());
    const nn::RaggedBatch batch = nn::RaggedBatch::of(sequences);
    optimizer_->zero_grad();
    backward(cross_entropy(model_.forward(batch, &rng_), Tensor::zeros({batch.sequences()}, DType::i64)));
    optimizer_->step(std::min(1.0, 1 / optim::total_grad_norm(optimizer_->parameters())));
  }

  const int threads_ = num_threads();
  Generator rng_{3};
  nn::EncoderForSequenceClassification model_{config(), rng_};
  std::unique_ptr<optim::AdamW> optimizer_;
};

TEST_F(StepMemory, NoMemoryIsRequestedAfterTheSecondStep) {
  const std::vector<int64_t> lengths = {40, 3, 100, 25, 60, 9, 77, 31};
  step(lengths);
  step(lengths);
  const size_t before = memory_stats().system_blocks;
  for (int i = 0; i < 5; ++i) step(lengths);
  EXPECT_EQ(memory_stats().system_blocks, before);
}

// Batches between half the size of the largest and its full size reuse its blocks.
TEST_F(StepMemory, SmallerBatchesRequestNoMemoryAfterTheLargest) {
  const std::vector<int64_t> largest(16, 100);
  step(largest);
  step(largest);
  const size_t before = memory_stats().system_blocks, cached = memory_stats().cached_bytes;
  Generator lengths(4);
  for (int i = 0; i < 12; ++i) {
    std::vector<int64_t> some(16);
    for (int64_t& length : some) length = 50 + static_cast<int64_t>(lengths.below(51));
    step(some);
  }
  // Small tensors have their own size classes for each number of tokens.
  EXPECT_LE(memory_stats().system_blocks, before + 40);
  EXPECT_LE(memory_stats().cached_bytes, cached + cached / 20);
}

}  // namespace
}  // namespace qing
