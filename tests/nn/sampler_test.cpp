#include <qing/nn/data/batch_sampler.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

using Indices = std::vector<size_t>;

Indices sorted(Indices indices) {
  std::sort(indices.begin(), indices.end());
  return indices;
}

Indices iota(size_t n) {
  Indices all(n);
  std::iota(all.begin(), all.end(), size_t{0});
  return all;
}

TEST(Sampler, RandomOrderIsAFunctionOfSeedAndEpoch) {
  const RandomSampler a(100, {.seed = 1}), b(100, {.seed = 1}), c(100, {.seed = 2});
  EXPECT_EQ(a.indices(5), b.indices(5));
  EXPECT_NE(a.indices(5), a.indices(6));
  EXPECT_NE(a.indices(5), c.indices(5));
  EXPECT_EQ(sorted(a.indices(5)), iota(100));
  EXPECT_EQ(SequentialSampler(4).indices(3), iota(4));
  EXPECT_TRUE(RandomSampler(0).indices(0).empty());
}

TEST(Sampler, EveryPermutationIsEquallyLikely) {
  std::map<Indices, int> counts;
  for (uint64_t epoch = 0; epoch < 6000; ++epoch) ++counts[RandomSampler(3).indices(epoch)];
  ASSERT_EQ(counts.size(), 6u);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 4 * 29);  // four standard deviations
}

TEST(Sampler, MoreSamplesThanExamples) {
  const Indices twice = RandomSampler(10, {.num_samples = 25}).indices(0);
  EXPECT_EQ(sorted(Indices(twice.begin(), twice.begin() + 10)), iota(10));
  EXPECT_EQ(sorted(Indices(twice.begin() + 10, twice.begin() + 20)), iota(10));
  EXPECT_EQ(twice.size(), 25u);
  const Indices drawn = RandomSampler(10, {.replacement = true, .num_samples = 10000}).indices(0);
  for (size_t i = 0; i < 10; ++i) EXPECT_NEAR(std::count(drawn.begin(), drawn.end(), i), 1000, 4 * 30);
  EXPECT_THROW(RandomSampler(0, {.num_samples = 1}), ValueError);
}

TEST(Sampler, WeightsAreFollowed) {
  const std::vector<double> weights = {0, 1, 0, 3, 6, 0};
  const Indices drawn = WeightedRandomSampler(weights, 10000).indices(1);
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_NEAR(std::count(drawn.begin(), drawn.end(), i), weights[i] * 1000, weights[i] == 0 ? 0 : 4 * 49);
  }
  // Without replacement the first draw follows the weights, and zero weights are never drawn.
  std::map<size_t, int> firsts;
  for (uint64_t epoch = 0; epoch < 10000; ++epoch) {
    const Indices few = WeightedRandomSampler(weights, 3, false, 7).indices(epoch);
    ++firsts[few[0]];
    ASSERT_EQ(sorted(few), (Indices{1, 3, 4}));
  }
  for (const size_t i : {1, 3, 4}) EXPECT_NEAR(firsts[i], weights[i] * 1000, 4 * 49);
}

TEST(Sampler, RefusesInvalidWeights) {
  EXPECT_THROW(WeightedRandomSampler({1, -1}, 1), ValueError);
  EXPECT_THROW(WeightedRandomSampler({1, NAN}, 1), ValueError);
  EXPECT_THROW(WeightedRandomSampler({1, INFINITY}, 1), ValueError);
  EXPECT_THROW(WeightedRandomSampler({0, 0}, 1), ValueError);
  EXPECT_THROW(WeightedRandomSampler({}, 1), ValueError);
  EXPECT_THROW(WeightedRandomSampler({1, 0, 1}, 3, false), ValueError);
}

TEST(Sampler, ClassesAreBalanced) {
  std::vector<int32_t> labels(9000, 0);
  labels.resize(9900, 1);
  labels.resize(10000, 2);
  std::map<int32_t, int> counts;
  for (const size_t i : class_balanced_sampler(labels).indices(0)) ++counts[labels[i]];
  for (const int32_t label : {0, 1, 2}) EXPECT_NEAR(counts[label], 10000 / 3, 4 * 47);
}

TEST(Sampler, RanksShareAnOrder) {
  EXPECT_TRUE(rc::check([] {
    const auto size = *rc::gen::inRange<size_t>(1, 40);
    const auto world = *rc::gen::inRange<size_t>(1, 8);
    const auto whole = std::make_shared<RandomSampler>(size, RandomSamplerOptions{.seed = 3});
    Indices all;
    for (size_t rank = 0; rank < world; ++rank) {
      const DistributedSampler padded(whole, rank, world), cut(whole, rank, world, true);
      const Indices own = padded.indices(2);
      RC_ASSERT(own.size() == (size + world - 1) / world && own.size() == padded.size());
      RC_ASSERT(cut.indices(2) == Indices(own.begin(), own.begin() + static_cast<ptrdiff_t>(size / world)));
      all.insert(all.end(), own.begin(), own.end());
    }
    const std::set<size_t> distinct(all.begin(), all.end());
    RC_ASSERT(distinct.size() == size);
  }));
  EXPECT_THROW(DistributedSampler(std::make_shared<SequentialSampler>(3), 2, 2), ValueError);
}

TEST(BatchSampler, CutsTheOrder) {
  const auto order = std::make_shared<SequentialSampler>(7);
  const BatchPlan plan = FixedBatchSampler(order, 3).plan(0);
  ASSERT_EQ(plan.size(), 3u);
  EXPECT_EQ(Indices(plan.batch(1).begin(), plan.batch(1).end()), (Indices{3, 4, 5}));
  EXPECT_EQ(Indices(plan.batch(2).begin(), plan.batch(2).end()), (Indices{6}));
  EXPECT_EQ(FixedBatchSampler(order, 3, true).plan(0).size(), 2u);
  EXPECT_EQ(FixedBatchSampler(std::make_shared<SequentialSampler>(0), 3).plan(0).size(), 0u);
  EXPECT_THROW(FixedBatchSampler(order, 0), ValueError);
}

TEST(BatchSampler, RefusesANullSampler) {
  EXPECT_THROW(FixedBatchSampler(nullptr, 2), ValueError);
  EXPECT_THROW(TokenBatchSampler(nullptr, {1, 2}), ValueError);
  EXPECT_THROW(DistributedSampler(nullptr, 0, 1), ValueError);
}

TEST(BatchSampler, TokensBoundBatchesAndEveryExampleComesOnce) {
  EXPECT_TRUE(rc::check([] {
    const TokenBatchOptions options{.max_tokens = *rc::gen::inRange<int64_t>(20, 60),
                                    .max_sequences = *rc::gen::inRange<int64_t>(0, 5),
                                    .window = *rc::gen::inRange<int64_t>(1, 50),
                                    .padded = *rc::gen::arbitrary<bool>(),
                                    .shuffle_batches = *rc::gen::arbitrary<bool>(),
                                    .seed = 9};
    const auto lengths = *rc::gen::container<std::vector<int64_t>>(rc::gen::inRange<int64_t>(1, 21));
    const auto random = std::make_shared<RandomSampler>(lengths.size(), RandomSamplerOptions{.seed = 4});
    const TokenBatchSampler sampler(random, lengths, options);
    const BatchPlan plan = sampler.plan(1);
    RC_ASSERT(sorted(plan.indices) == iota(lengths.size()));
    RC_ASSERT(plan.offsets.back() == lengths.size());
    for (size_t b = 0; b < plan.size(); ++b) {
      int64_t sum = 0, longest = 0;
      for (const size_t i : plan.batch(b)) sum += lengths[i], longest = std::max(longest, lengths[i]);
      const auto count = static_cast<int64_t>(plan.batch(b).size());
      RC_ASSERT(count > 0);
      RC_ASSERT((options.padded ? longest * count : sum) <= options.max_tokens);
      RC_ASSERT(options.max_sequences == 0 || count <= options.max_sequences);
    }
    RC_ASSERT(sampler.plan(1).indices == plan.indices);
  }));
}

TEST(BatchSampler, PutsSimilarLengthsTogetherAndShufflesBatches) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 1000; ++i) lengths.push_back(1 + i * 7919 % 100);
  const auto random = std::make_shared<RandomSampler>(1000, RandomSamplerOptions{});
  const TokenBatchSampler sampler(random, lengths, {.max_tokens = 400, .window = 500, .padded = true});
  int64_t padded = 0;
  std::vector<int64_t> longest;
  const BatchPlan plan = sampler.plan(0);
  for (size_t b = 0; b < plan.size(); ++b) {
    longest.push_back(0);
    for (const size_t i : plan.batch(b)) longest.back() = std::max(longest.back(), lengths[i]);
    padded += longest.back() * static_cast<int64_t>(plan.batch(b).size());
  }
  EXPECT_LT(padded, std::accumulate(lengths.begin(), lengths.end(), int64_t{0}) * 105 / 100);
  EXPECT_FALSE(std::is_sorted(longest.begin(), longest.begin() + static_cast<ptrdiff_t>(longest.size() / 2)));
  EXPECT_NE(sampler.plan(1).indices, plan.indices);
  EXPECT_THROW(TokenBatchSampler(random, lengths, {.max_tokens = 99}), ValueError);
  EXPECT_THROW(TokenBatchSampler(random, {1, 2}), ValueError);
  EXPECT_THROW(TokenBatchSampler(random, lengths, {.window = 0}), ValueError);
}

}  // namespace
}  // namespace qing::nn
