#include <gtest/gtest.h>
#include <qing/optim/clip.h>
#include <qing/optim/parallel/thread_ranks.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "optim/parallel_ranks.h"

namespace qing::optim {
namespace {

using training::BatchChunk;
using training::DataParallel;
using training::DataParallelOptions;

struct Course {
  int chunks = 8;
  int64_t steps = 4;
  bool dropout = false;
  DataParallelOptions options = {.bucket_bytes = 1000};
};

// The chunks of a batch, cut unevenly; the third is empty.
std::vector<std::pair<int64_t, int64_t>> texts_of_chunks(int chunks) {
  std::vector<std::pair<int64_t, int64_t>> texts;
  int64_t first = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const int64_t last = chunk == 2 ? first : WordBatch::kTexts * (chunk + 1) / chunks;
    texts.emplace_back(first, last);
    first = last;
  }
  return texts;
}

struct Outcome {
  std::set<uint64_t> bits;
  std::set<double> losses;
  int64_t bytes = 0;  // that rank 0 sent in the last step
};

Outcome train(int ranks, const Course& course) {
  Outcome outcome;
  std::mutex mutex;
  run_thread_ranks(ranks, [&](Communicator& rank) {
    Generator rng(rank.rank() + 1);  // the weights of rank 0 count
    WordModel model(rng);
    AdamW adamw(model.parameters(), {.lr = 0.01});
    DataParallel parallel(model, adamw, rank, course.options);
    const auto texts = texts_of_chunks(course.chunks);
    std::vector<BatchChunk> chunks;
    for (const auto& [first, last] : texts) {
      chunks.push_back({last - first, static_cast<double>(last - first) / WordBatch::kTexts});
    }
    double loss = 0;
    int64_t before = 0;
    for (int64_t step = 0; step < course.steps; ++step) {
      before = rank.bytes_sent();
      const WordBatch batch(static_cast<uint64_t>(step));
      Generator noise;
      loss = parallel.backward(chunks, [&](int chunk) {
        noise.restore(static_cast<uint64_t>(step), static_cast<uint64_t>(chunk) << 32);
        const auto [first, last] = texts[static_cast<size_t>(chunk)];
        return batch.loss(model, first, last, course.dropout ? &noise : nullptr);
      });
      adamw.step(clip_for_pass(adamw.parameters(), total_grad_norm(adamw.parameters()), 0.5));
    }
    const std::lock_guard lock(mutex);
    outcome.bits.insert(bits_of(model));
    outcome.losses.insert(loss);
    if (rank.is_first()) outcome.bytes = rank.bytes_sent() - before;
  });
  return outcome;
}

TEST(DataParallel, TheSameBitsForAnyNumberOfRanksAndThreads) {
  const int threads = num_threads();
  for (const bool dropout : {false, true}) {
    for (const int chunks : {3, 8, 12}) {
      std::set<uint64_t> bits;
      std::set<double> losses;
      for (const int ranks : {1, 2, 3, 4, 7}) {
        for (const int of_each : {1, 2}) {
          set_num_threads(of_each);
          Outcome outcome = train(ranks, {.chunks = chunks, .dropout = dropout});
          bits.merge(outcome.bits);
          losses.merge(outcome.losses);
        }
      }
      EXPECT_EQ(bits.size(), 1u) << chunks << " chunks";
      EXPECT_EQ(losses.size(), 1u) << chunks << " chunks";
    }
  }
  set_num_threads(threads);
}

TEST(DataParallel, OverlapAndBucketsDoNotChangeTheBits) {
  std::set<uint64_t> bits;
  for (const int64_t bytes : {1, 1000, 1 << 20}) {
    for (const bool overlap : {false, true}) {
      bits.merge(train(3, {.options = {.bucket_bytes = bytes, .overlap = overlap}}).bits);
    }
  }
  EXPECT_EQ(bits.size(), 1u);
}

TEST(DataParallel, TheLossAndTheGradientsAreThoseOfTheWholeBatch) {
  Generator rng(1);
  WordModel model(rng), other(rng);
  other.load_state_dict(model.state_dict());
  AdamW adamw(model.parameters(), {}), unused(other.parameters(), {});
  SoleRank sole;
  DataParallel parallel(model, adamw, sole);
  const WordBatch batch(0);
  const double loss = parallel.backward(6, [&](int chunk) { return batch.loss(model, 4 * chunk, 4 * (chunk + 1)); });
  const Tensor whole = batch.loss(other, 0, WordBatch::kTexts);
  backward(whole);
  EXPECT_NEAR(loss, whole.item(), 1e-6);
  const auto expected = other.parameters(), found = model.parameters();
  for (size_t i = 0; i < found.size(); ++i) {
    const Tensor a = grad(expected[i]), b = grad(found[i]);
    ASSERT_TRUE(b.defined()) << i;
    const auto x = a.span<float>(), y = b.span<float>();
    for (size_t k = 0; k < x.size(); ++k) ASSERT_NEAR(x[k], y[k], 1e-6) << i << " " << k;
  }
}

TEST(DataParallel, TheTableIsNeverSent) {
  const Outcome outcome = train(2, {});
  const int64_t dense = (16 * 48 + 48 + 48 * 2 + 2) * 4, table = WordModel::kWords * WordModel::kWidth * 4;
  EXPECT_LT(outcome.bytes, dense + table / 4);
  EXPECT_GT(outcome.bytes, dense);
}

TEST(DataParallel, GradientsInBf16TakeHalfOfTheBytes) {
  const int64_t dense = (16 * 48 + 48 + 48 * 2 + 2) * 4;
  const Outcome f32 = train(2, {}), bf16 = train(2, {.options = {.bucket_bytes = 1000, .gradients = DType::bf16}});
  EXPECT_EQ(bf16.bits.size(), 1u) << "the ranks have other weights";
  EXPECT_NE(bf16.bits, f32.bits);
  EXPECT_NEAR(static_cast<double>(f32.bytes - bf16.bytes), static_cast<double>(dense) / 2, 16);
}

// The sums of many steps show whether rounding errors come back: each gradient is 1 + 2^-10, which bf16 rounds to 1.
TEST(DataParallel, WhatBf16LosesIsAddedLater) {
  for (const int ranks : {2, 3}) {
    run_thread_ranks(ranks, [](Communicator& rank) {
      constexpr double kSlope = 1 + 0x1p-10;
      constexpr int kSteps = 64;
      Generator rng(1);
      nn::Linear model(4, 1, rng);
      model.set_requires_grad(true);
      Sgd sgd(model.parameters(), {.lr = 1});
      DataParallel parallel(model, sgd, rank, {.gradients = DType::bf16});
      const Tensor weight = model.parameters()[0];
      const double before = weight.at({0, 0});
      for (int step = 0; step < kSteps; ++step) {
        parallel.backward(6, [&](int) { return sum(model(Tensor::full({1, 4}, kSlope))); });
        parallel.step();
      }
      EXPECT_NEAR(before - weight.at({0, 0}), kSteps * kSlope, 0.02);
    });
  }
}

TEST(DataParallel, RowsOfTablesStayKnown) {
  run_thread_ranks(2, [](Communicator& rank) {
    Generator rng(1);
    WordModel model(rng);
    Sgd sgd(model.parameters(), {.lr = 0.1});
    DataParallel parallel(model, sgd, rank);
    for (uint64_t step = 0; step < 3; ++step) {
      const WordBatch batch(step);
      parallel.backward(4, [&](int chunk) { return batch.loss(model, 6 * chunk, 6 * (chunk + 1)); });
      const RowGradient table = row_grad(model.words.weight());
      ASSERT_NE(table.rows, nullptr);
      const auto ids = batch.ids.span<int64_t>();
      const std::set<int64_t> looked_up(ids.begin(), ids.end());
      EXPECT_EQ(*table.rows, std::vector<int64_t>(looked_up.begin(), looked_up.end()));
      parallel.step();
    }
  });
}

TEST(DataParallel, AParameterThatNoChunkUsesHasNoGradient) {
  for (const int ranks : {1, 2, 3}) {
    run_thread_ranks(ranks, [](Communicator& rank) {
      Generator rng(1);
      nn::Linear used(2, 2, rng), unused(2, 2, rng);
      std::vector<Tensor> parameters = used.parameters();
      for (const Tensor& one : unused.parameters()) parameters.push_back(one);
      for (Tensor& one : parameters) set_requires_grad(one);
      Sgd sgd(parameters, {.lr = 0.1});
      DataParallel parallel(used, sgd, rank);
      const Tensor x = ones({4, 2});
      for (int step = 0; step < 2; ++step) {
        parallel.backward(4, [&](int chunk) { return mean(used(x.slice(0, chunk, chunk + 1))); });
        EXPECT_TRUE(grad(parameters[0]).defined());
        EXPECT_FALSE(grad(parameters[2]).defined());
      }
      // A parameter that only one chunk uses, of another rank.
      parallel.backward(4, [&](int chunk) {
        const Tensor row = x.slice(0, chunk, chunk + 1);
        return chunk == 3 ? mean(unused(used(row))) : mean(used(row));
      });
      EXPECT_TRUE(grad(parameters[2]).defined());
    });
  }
}

TEST(DataParallel, WrongUseIsRefused) {
  Generator rng(1);
  WordModel model(rng);
  AdamW adamw(model.parameters(), {});
  SoleRank sole;
  DataParallel parallel(model, adamw, sole);
  EXPECT_THROW(parallel.backward(0, [](int) { return Tensor(); }), ValueError);
  const std::vector<BatchChunk> empty(3, {.cost = 1, .weight = 0});
  EXPECT_THROW(parallel.backward(empty, [](int) { return Tensor(); }), ValueError);
  EXPECT_THROW(DataParallel(model, adamw, sole, {.gradients = DType::f16}), DTypeError);
  EXPECT_THROW(run_thread_ranks(2,
                                [](Communicator& rank) {
                                  Generator other(1);
                                  nn::Linear layer(2, 2 + rank.rank(), other);
                                  layer.set_requires_grad(true);
                                  AdamW of_layer(layer.parameters(), {});
                                  DataParallel wrong(layer, of_layer, rank);
                                }),
               IoError);
}

TEST(DataParallel, ALossThatThrowsEndsAllRanks) {
  try {
    run_thread_ranks(3, [](Communicator& rank) {
      Generator rng(1);
      WordModel model(rng);
      AdamW adamw(model.parameters(), {});
      DataParallel parallel(model, adamw, rank, {.bucket_bytes = 100});
      for (uint64_t step = 0; step < 5; ++step) {
        const WordBatch batch(step);
        parallel.backward(6, [&](int chunk) {
          if (step == 3 && chunk == 3) throw std::runtime_error("chunk 3 of step 3");
          return batch.loss(model, 4 * chunk, 4 * (chunk + 1));
        });
        parallel.step();
      }
    });
    FAIL();
  } catch (const std::runtime_error& error) { EXPECT_STREQ(error.what(), "chunk 3 of step 3"); }
}

TEST(DataParallel, ASlowRankIsNamed) {
  std::vector<int> named;
  run_thread_ranks(2, [&](Communicator& rank) {
    Generator rng(1);
    WordModel model(rng);
    AdamW adamw(model.parameters(), {});
    DataParallel parallel(model, adamw, rank,
                          {.on_slow_rank = [&](const SlowRank& slow) { named.push_back(slow.rank); }});
    const WordBatch batch(0);
    for (int64_t step = 0; step < SlowRanks::kSteps; ++step) {
      parallel.backward(2, [&](int chunk) {
        if (chunk == 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return batch.loss(model, 12 * chunk, 12 * (chunk + 1));
      });
    }
  });
  EXPECT_EQ(named, std::vector<int>{1});
}

}  // namespace
}  // namespace qing::optim
