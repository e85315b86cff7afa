// Optimizer states that are divided among ranks (ZeRO, stage 1).
#include <gtest/gtest.h>
#include <qing/nn/formats/tensor_bytes.h>
#include <qing/optim/clip.h>
#include <qing/optim/parallel/collectives.h>
#include <qing/optim/parallel/thread_ranks.h>
#include <qing/optim/training/data_parallel.h>
#include <qing/optim/training/trainer.h>
#include <qing/tensor/errors.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "nn/temp_folder.h"
#include "optim/optimizer_rows.h"
#include "optim/parallel_ranks.h"

namespace qing::optim {
namespace {

using training::DataParallel;
using training::divide_parameters;

constexpr int kChunks = 8;

double gradients_of(DataParallel& parallel, const WordModel& model, uint64_t step) {
  const WordBatch batch(step);
  constexpr int64_t kOfChunk = WordBatch::kTexts / kChunks;
  return parallel.backward(kChunks,
                           [&](int chunk) { return batch.loss(model, kOfChunk * chunk, kOfChunk * (chunk + 1)); });
}

using MakeOptimizer = std::function<std::unique_ptr<Optimizer>(const std::vector<Tensor>&)>;

struct Shards {
  std::set<uint64_t> bits;
  std::vector<int64_t> state_bytes;          // by rank
  std::map<std::string, std::string> state;  // of the gathered optimizer, on rank 0: the bytes by name
};

std::map<std::string, std::string> bytes_of_state(const StateDict& state) {
  std::map<std::string, std::string> all;
  for (const auto& [name, tensor] : state) {
    const Tensor dense = tensor.contiguous();
    const auto bytes = nn::bytes_of(dense);
    all[name] = std::string(bytes.begin(), bytes.end());
  }
  return all;
}

Shards train(int ranks, bool shard, const MakeOptimizer& make, int64_t steps = 4) {
  Shards shards;
  shards.state_bytes.resize(static_cast<size_t>(ranks));
  std::mutex mutex;
  run_thread_ranks(ranks, [&](Communicator& rank) {
    Generator rng(rank.rank() + 1);  // the weights of rank 0 count
    WordModel model(rng);
    const std::unique_ptr<Optimizer> optimizer = make(model.parameters());
    DataParallel parallel(model, *optimizer, rank, {.bucket_bytes = 1000, .shard_optimizer = shard});
    for (int64_t step = 0; step < steps; ++step) {
      gradients_of(parallel, model, static_cast<uint64_t>(step));
      parallel.step(clip_for_pass(model.parameters(), total_grad_norm(model.parameters()), 0.5));
    }
    const StateDict whole = parallel.gather_optimizer();
    const std::lock_guard lock(mutex);
    shards.bits.insert(bits_of(model));
    shards.state_bytes[static_cast<size_t>(rank.rank())] = optimizer->state_bytes();
    if (rank.is_first()) shards.state = bytes_of_state(whole);
  });
  return shards;
}

MakeOptimizer adamw(bool lazy = false, DType dtype = DType::f32) {
  return [=](const std::vector<Tensor>& parameters) {
    auto made =
        std::make_unique<AdamW>(parameters, AdamWOptions{.lr = 0.01, .weight_decay = lazy ? 0 : 0.1, .lazy = lazy});
    made->set_state_dtype(dtype);
    return made;
  };
}

TEST(ShardedOptimizer, EveryOptimizerHasTheBitsOfUndividedStates) {
  for (const test::OptimizerRow& row : test::kOptimizerRows) {
    const auto make = [&](const std::vector<Tensor>& parameters) { return make_optimizer(row, false, parameters); };
    const Shards whole = train(1, false, make), divided = train(3, true, make);
    EXPECT_EQ(divided.bits, whole.bits) << row.optimizer << " " << row.what;
    EXPECT_EQ(divided.state, whole.state) << row.optimizer << " " << row.what;
  }
}

TEST(ShardedOptimizer, AnyNumberOfRanksHasTheSameBits) {
  for (const auto& make : {adamw(), adamw(true), adamw(false, DType::bf16)}) {
    const Shards whole = train(1, false, make);
    for (const int ranks : {1, 2, 3, 5, 8}) {
      const Shards divided = train(ranks, true, make);
      EXPECT_EQ(divided.bits, whole.bits) << ranks;
      EXPECT_EQ(divided.state, whole.state) << ranks;
    }
  }
}

TEST(ShardedOptimizer, ARankKeepsTheBytesOfItsShare) {
  const int64_t whole = train(2, false, adamw()).state_bytes[1];
  Generator rng(1);
  WordModel model(rng);
  int64_t elements = 0, largest = 0;
  for (const Tensor& parameter : model.parameters()) {
    elements += parameter.numel();
    largest = std::max(largest, parameter.numel());
  }
  EXPECT_EQ(whole, elements * 2 * 4);  // two moments in f32
  for (const int ranks : {2, 3, 5, 8}) {
    const std::vector<int64_t> found = train(ranks, true, adamw()).state_bytes;
    EXPECT_EQ(std::accumulate(found.begin(), found.end(), int64_t{0}), whole) << ranks;
    for (const int64_t bytes : found) EXPECT_LE(bytes, whole / ranks + largest * 2 * 4) << ranks;
    EXPECT_LT(*std::ranges::min_element(found), whole / ranks) << ranks;
  }
}

TEST(ShardedOptimizer, ParametersAreDividedByTheirSizes) {
  EXPECT_EQ(divide_parameters(std::vector<int64_t>{1, 5, 3, 3, 2}, 2), (std::vector<int>{1, 0, 1, 1, 0}));
  EXPECT_EQ(divide_parameters(std::vector<int64_t>{4, 4, 4, 4}, 4), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(divide_parameters({}, 3), std::vector<int>());
  EXPECT_EQ(divide_parameters(std::vector<int64_t>{7}, 3), std::vector<int>{0});
}

TEST(ShardedOptimizer, OnlyVisitedRowsOfALazyTableTravel) {
  std::map<bool, int64_t> bytes;
  for (const bool lazy : {false, true}) {
    run_thread_ranks(2, [&](Communicator& rank) {
      Generator rng(1);
      WordModel model(rng);
      const auto optimizer = adamw(lazy)(model.parameters());
      DataParallel parallel(model, *optimizer, rank, {.shard_optimizer = true});
      for (uint64_t step = 0; step < 2; ++step) {
        gradients_of(parallel, model, step);
        const int64_t before = rank.bytes_sent();
        parallel.step();
        if (rank.is_first()) bytes[lazy] = rank.bytes_sent() - before;
      }
    });
  }
  constexpr int64_t kTable = WordModel::kWords * WordModel::kWidth * 4;
  EXPECT_GE(bytes[false], kTable);
  EXPECT_LT(bytes[true], kTable / 10);
}

TEST(ShardedOptimizer, StatesAreDividedBeforeTheFirstStepAndForAllParameters) {
  Generator rng(1);
  WordModel model(rng);
  AdamW optimizer(model.parameters(), {});
  EXPECT_THROW(optimizer.keep_states_of({1, 0}), ValueError);
  SoleRank sole;
  DataParallel parallel(model, optimizer, sole);
  gradients_of(parallel, model, 0);
  parallel.step();
  EXPECT_THROW(optimizer.keep_states_of(std::vector<char>(model.parameters().size(), 1)), ValueError);
}

TEST(GatherState, GivesOneRankTheEntriesOfAll) {
  run_thread_ranks(3, [](Communicator& rank) {
    const int64_t own = rank.rank();
    StateDict state = {{"common", integer_state(own)}};
    state["of rank " + std::to_string(own)] = Tensor::full({own, 2}, static_cast<double>(own), DType::bf16);
    const StateDict all = gather_state(rank, state, 1);
    if (own != 1) {
      EXPECT_TRUE(all.empty());
      return;
    }
    ASSERT_EQ(all.size(), 4u);
    EXPECT_EQ(all.at("common").item(), 2);
    EXPECT_EQ(all.at("of rank 0").shape(), (Shape{0, 2}));
    EXPECT_EQ(all.at("of rank 2").dtype(), DType::bf16);
    EXPECT_EQ(all.at("of rank 2").shape(), (Shape{2, 2}));
    EXPECT_EQ(all.at("of rank 2").to(DType::f32).data<float>()[3], 2);
  });
}

// Trains by a Trainer with checkpoints: some steps on some ranks, and the rest on others.
class ShardedTrainer : public ::testing::Test {
 protected:
  // Returns the bits of the weights after `steps` steps in all.
  uint64_t train(int ranks, bool shard, int64_t steps, const std::string& checkpoints) {
    uint64_t bits = 0;
    run_thread_ranks(ranks, [&](Communicator& rank) {
      Generator rng(1);
      WordModel model(rng);
      AdamW optimizer(model.parameters(), {.lr = 0.01});
      LrScheduler schedule(optimizer, [](double base, int64_t step) { return base / static_cast<double>(step + 1); });
      DataParallel parallel(model, optimizer, rank, {.shard_optimizer = shard});
      int64_t next = 0;
      LossSource source{.has_next = [] { return true; },
                        .next = {},
                        .save = [&] { return std::to_string(next); },
                        .load = [&](const std::string& text) { next = std::stoll(text); }};
      source.next_chunks = [&] {
        const auto batch = std::make_shared<WordBatch>(static_cast<uint64_t>(next++));
        return ChunkedBatch{
            .chunks = std::vector<training::BatchChunk>(4, {.cost = 1, .weight = 0.25}),
            .loss = [&model, batch](int chunk) { return batch->loss(model, 6 * chunk, 6 * chunk + 6); }};
      };
      TrainerOptions options{.max_epochs = 0, .max_steps = steps, .clip_norm = 1, .schedule = &schedule};
      options.parallel = &parallel;
      if (rank.is_first()) options.checkpoints = folder_.path() / checkpoints;
      options.checkpoint_every = 2;
      Trainer(model, optimizer, source, options).run();
      if (rank.is_first()) bits = bits_of(model);
    });
    return bits;
  }
  std::string optimizer_file(const std::string& checkpoints, const char* step) const {
    return qing::test::content_of(folder_.path() / checkpoints / step / "optimizer.safetensors");
  }

  qing::test::TempFolder folder_;
};

TEST_F(ShardedTrainer, CheckpointsDoNotDependOnTheRanks) {
  const uint64_t expected = train(1, false, 6, "one");
  EXPECT_EQ(train(3, true, 6, "three"), expected);
  EXPECT_EQ(optimizer_file("three", "step-000000000006"), optimizer_file("one", "step-000000000006"));
}

TEST_F(ShardedTrainer, AnotherNumberOfRanksResumesWithTheSameBits) {
  const uint64_t expected = train(1, false, 9, "one");
  train(3, true, 3, "some");
  train(2, true, 5, "some");
  train(1, false, 6, "some");
  train(2, false, 7, "some");
  EXPECT_EQ(train(4, true, 9, "some"), expected);
}

}  // namespace
}  // namespace qing::optim
