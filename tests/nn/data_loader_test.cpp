#include <qing/nn/data/data_loader.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include <qing/nn/data/collate.h>
#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;
using test::TempFolder;

using Numbers = std::vector<int>;
using Batches = std::vector<Numbers>;

Numbers range(int n) {
  Numbers numbers(static_cast<size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

// Counts to n in each epoch.
class Counting {
 public:
  using value_type = int;
  explicit Counting(int n) : n_(n) {}
  void reset(uint64_t) { at_ = 0; }
  std::optional<int> next() { return at_ < n_ ? std::optional(at_++) : std::nullopt; }

 private:
  int n_, at_ = 0;
};

Numbers as_is(const Numbers& values) { return values; }

DataLoader<Numbers> loader_of(int n, const DataLoaderOptions& options) {
  return DataLoader(VectorDataset(range(n)), as_is, options);
}
DataLoader<Numbers> stream_loader_of(int n, const DataLoaderOptions& options) {
  return DataLoader(Counting(n), as_is, options);
}
DataLoader<Numbers> token_loader_of(int n, const DataLoaderOptions& options) {
  std::vector<int64_t> lengths;
  for (int i = 0; i < n; ++i) lengths.push_back(1 + i * 31 % 17);
  auto sampler = std::make_shared<RandomSampler>(lengths.size(), RandomSamplerOptions{.seed = options.seed});
  auto batches =
      std::make_shared<TokenBatchSampler>(sampler, lengths, TokenBatchOptions{.max_tokens = 40, .window = 16});
  return DataLoader(VectorDataset(range(n)), as_is, batches, options);
}
using Make = DataLoader<Numbers> (*)(int, const DataLoaderOptions&);
constexpr Make kMakers[] = {loader_of, stream_loader_of, token_loader_of};

Batches rest_of(DataLoader<Numbers>& loader) {
  Batches batches;
  for (Numbers& batch : loader) batches.push_back(std::move(batch));
  return batches;
}

Batches epochs_of(DataLoader<Numbers>& loader, uint64_t epochs) {
  Batches batches;
  while (loader.epoch() < epochs) {
    for (Numbers& batch : loader) batches.push_back(std::move(batch));
  }
  return batches;
}

Numbers sorted_union(const Batches& batches) {
  Numbers all;
  for (const Numbers& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  std::sort(all.begin(), all.end());
  return all;
}

DataLoaderOptions any_options() {
  return {.batch_size = *rc::gen::inRange<int64_t>(1, 9),
          .shuffle = *rc::gen::arbitrary<bool>(),
          .seed = *rc::gen::arbitrary<uint64_t>(),
          .num_workers = *rc::gen::inRange<int64_t>(0, 4),
          .prefetch_factor = *rc::gen::inRange<int64_t>(1, 4),
          .shuffle_buffer = *rc::gen::inRange<int64_t>(1, 9)};
}

TEST(DataLoader, GivesBatchesInOrder) {
  DataLoader loader(VectorDataset(range(7)), as_is, {.batch_size = 3});
  EXPECT_EQ(loader.size(), 3u);
  EXPECT_EQ(rest_of(loader), (Batches{{0, 1, 2}, {3, 4, 5}, {6}}));
  EXPECT_EQ(loader.epoch(), 1u);
  EXPECT_EQ(rest_of(loader).size(), 3u);
  DataLoader dropping(VectorDataset(range(7)), as_is, {.batch_size = 3, .drop_last = true, .num_workers = 1});
  EXPECT_EQ(rest_of(dropping), (Batches{{0, 1, 2}, {3, 4, 5}}));
  DataLoader none(VectorDataset(Numbers{}), as_is, {.shuffle = true, .num_workers = 2});
  EXPECT_EQ(rest_of(none), Batches{});
}

TEST(DataLoader, EveryExampleComesOnceAnEpoch) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange(0, 40);
    const DataLoaderOptions options = any_options();
    for (const Make make : kMakers) {
      DataLoader<Numbers> loader = make(n, options);
      for (int epoch = 0; epoch < 2; ++epoch) RC_ASSERT(sorted_union(rest_of(loader)) == range(n));
    }
  }));
}

TEST(DataLoader, OrderDependsOnSeedAndEpochAlone) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange(0, 40);
    DataLoaderOptions options = any_options();
    for (const Make make : kMakers) {
      DataLoader<Numbers> loader = make(n, options);
      DataLoaderOptions plain = options;
      plain.num_workers = 0;
      DataLoader<Numbers> alone = make(n, plain);
      RC_ASSERT(epochs_of(loader, 3) == epochs_of(alone, 3));
      loader.set_epoch(2);
      alone.set_epoch(2);
      RC_ASSERT(rest_of(loader) == rest_of(alone));
    }
  }));
}

TEST(DataLoader, ShufflesAnewInEachEpoch) {
  for (const Make make : kMakers) {
    DataLoader<Numbers> loader = make(100, {.batch_size = 10, .shuffle = true, .seed = 1, .shuffle_buffer = 50});
    const Batches first = rest_of(loader), second = rest_of(loader);
    EXPECT_NE(first, second);
    EXPECT_NE(first[0], range(10));
    DataLoader<Numbers> other = make(100, {.batch_size = 10, .shuffle = true, .seed = 2, .shuffle_buffer = 50});
    EXPECT_NE(rest_of(other), first);
  }
}

TEST(DataLoader, ResumesAtEveryPosition) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange(1, 13);
    const DataLoaderOptions options = any_options();
    for (const Make make : kMakers) {
      DataLoader<Numbers> whole = make(n, options);
      const Batches expected = epochs_of(whole, 2);
      for (size_t stop = 0; stop <= expected.size(); ++stop) {
        DataLoader<Numbers> first = make(n, options);
        Batches seen;
        while (seen.size() < stop) {
          if (auto batch = first.next()) seen.push_back(*std::move(batch));
        }
        DataLoaderOptions others = options;  // prefetching may differ
        others.num_workers = 3 - options.num_workers;
        DataLoader<Numbers> second = make(n, others);
        second.next();
        second.load_state(first.state());
        RC_ASSERT(second.state() == first.state());
        const Batches rest = epochs_of(second, 2);
        seen.insert(seen.end(), rest.begin(), rest.end());
        RC_ASSERT(seen == expected);
      }
    }
  }));
}

TEST(DataLoader, TellsACollateFunctionWhichBatchItMakes) {
  using Told = std::pair<uint64_t, uint64_t>;
  const auto tell = [](const Numbers&, const BatchNumber& number) { return Told(number.epoch, number.batch); };
  for (const int64_t workers : {0, 2}) {
    const DataLoaderOptions options{.batch_size = 3, .num_workers = workers};
    DataLoader indexed(VectorDataset(range(7)), tell, options);
    DataLoader streamed(Counting(7), tell, options);
    for (DataLoader<Told>* loader : {&indexed, &streamed}) {
      std::vector<Told> told;
      while (loader->epoch() < 2) {
        for (const Told& number : *loader) told.push_back(number);
      }
      EXPECT_EQ(told, (std::vector<Told>{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}}));
      loader->set_epoch(4);
      loader->next();
      loader->load_state(loader->state());
      EXPECT_EQ(loader->next(), Told(4, 1)) << "resumed";
    }
  }
}

TEST(DataLoader, LeavingALoopLeavesTheLoaderBetweenBatches) {
  DataLoader<Numbers> loader = loader_of(6, {.batch_size = 2, .num_workers = 2});
  for (const Numbers& batch : loader) {
    EXPECT_EQ(batch, (Numbers{0, 1}));
    break;
  }
  EXPECT_EQ(loader.position(), 1u);
  EXPECT_EQ(rest_of(loader), (Batches{{2, 3}, {4, 5}}));
}

TEST(DataLoader, RefusesTheStateOfAnotherLoader) {
  const DataLoaderOptions options{.batch_size = 4, .shuffle = true, .seed = 1};
  DataLoader<Numbers> loader = loader_of(20, options);
  loader.next();
  const std::string before = loader.state();
  const auto refuse = [&](const std::string& state) {
    const std::string message = message_of<ValueError>([&] { loader.load_state(state); });
    EXPECT_EQ(loader.state(), before);
    return message;
  };
  EXPECT_NE(refuse(loader_of(21, options).state()).find("of 21 examples, this loader has 20 examples"),
            std::string::npos);
  EXPECT_NE(refuse(loader_of(20, {.batch_size = 5, .shuffle = true, .seed = 1}).state()).find("batches of 5"),
            std::string::npos);
  EXPECT_NE(refuse(loader_of(20, {.batch_size = 4, .shuffle = true, .seed = 2}).state()).find("seed 2"),
            std::string::npos);
  EXPECT_NE(refuse(loader_of(20, {.batch_size = 4}).state()).find("in order"), std::string::npos);
  EXPECT_NE(refuse(token_loader_of(20, options).state()).find("tokens"), std::string::npos);
  EXPECT_NE(refuse(stream_loader_of(20, options).state()).find("iterable"), std::string::npos);
  std::string damaged = before;
  damaged.replace(damaged.find("\"position\":1"), 12, "\"position\":6");
  EXPECT_NE(refuse(damaged).find("position 6 of an epoch of 5 batches"), std::string::npos);
  for (const char* text : {"", "[]", "{}", "{\"epoch\":0", "{\"epoch\":-1,\"position\":0,\"batches\":\"\"}",
                           "{\"epoch\":0,\"position\":0}", "{\"epoch\":0,\"position\":0,\"batches\":1}"}) {
    EXPECT_THROW(loader.load_state(text), DataError) << text;
  }
  EXPECT_EQ(loader.state(), before);
}

TEST(DataLoader, RefusesOptionsOutOfRange) {
  EXPECT_THROW(loader_of(3, {.batch_size = 0}), ValueError);
  EXPECT_THROW(loader_of(3, {.num_workers = -1}), ValueError);
  EXPECT_THROW(loader_of(3, {.prefetch_factor = 0}), ValueError);
  EXPECT_THROW(loader_of(3, {.rank = 2, .world_size = 2}), ValueError);
  EXPECT_THROW(stream_loader_of(3, {.shuffle_buffer = 0}), ValueError);
  const auto of_four = std::make_shared<FixedBatchSampler>(std::make_shared<SequentialSampler>(4), 1);
  EXPECT_THROW(DataLoader(VectorDataset(range(3)), as_is, of_four), ValueError);
  EXPECT_THROW(DataLoader(VectorDataset(range(3)), as_is, std::shared_ptr<const BatchSampler>()), ValueError);
  const std::string message = message_of<ValueError>(
      [] { loader_of(3, {.num_workers = int64_t{1} << 40, .prefetch_factor = int64_t{1} << 40}); });
  EXPECT_NE(message.find("prefetch_factor"), std::string::npos) << message;
}

TEST(DataLoader, ErrorsOfWorkersComeInTheirPlaceAndTheBatchIsTriedAgain) {
  for (const int64_t workers : {0, 3}) {
    std::atomic<bool> broken = true;
    const auto mapped = MappedDataset(VectorDataset(range(10)), [&broken](int i) {
      if (i == 5 && broken) throw DataError("example 5 is broken");
      return i;
    });
    DataLoader loader(mapped, as_is, {.batch_size = 2, .num_workers = workers});
    EXPECT_EQ(loader.next(), (Numbers{0, 1}));
    EXPECT_EQ(loader.next(), (Numbers{2, 3}));
    EXPECT_EQ(message_of<DataError>([&] { loader.next(); }), "example 5 is broken");
    EXPECT_THROW(loader.next(), DataError);
    EXPECT_EQ(loader.position(), 2u);
    broken = false;
    EXPECT_EQ(rest_of(loader), (Batches{{4, 5}, {6, 7}, {8, 9}}));
  }
}

TEST(DataLoader, ErrorsOfAStreamComeInTheirPlace) {
  for (const int64_t workers : {0, 2}) {
    const auto mapped = MappedStream(Counting(9), [](int i) { return i < 5 ? i : throw DataError("row 5"); });
    DataLoader loader(mapped, as_is, {.batch_size = 2, .num_workers = workers});
    EXPECT_EQ(loader.next(), (Numbers{0, 1}));
    EXPECT_EQ(loader.next(), (Numbers{2, 3}));
    EXPECT_THROW(loader.next(), DataError);
    EXPECT_THROW(loader.next(), DataError);
  }
}

TEST(DataLoader, PreparesNoMoreThanItsQueueHolds) {
  std::atomic<int> prepared = 0;
  const auto counted = MappedDataset(VectorDataset(range(100)), [&prepared](int i) {
    ++prepared;
    return i;
  });
  DataLoader loader(counted, as_is, {.num_workers = 3, .prefetch_factor = 2});
  for (int given = 1; given <= 100; ++given) {
    loader.next();
    EXPECT_LE(prepared, given + 6);
    if (given % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // let them run ahead
  }
}

TEST(DataLoader, WorkersPrepareBatchesAtTheSameTime) {
  // Each of the first two batches waits until the other has been started.
  std::atomic<int> begun = 0;
  const auto meeting = MappedDataset(VectorDataset(range(2)), [&begun](int i) {
    for (++begun; begun < 2;) std::this_thread::yield();
    return i;
  });
  DataLoader loader(meeting, as_is, {.num_workers = 2});
  EXPECT_EQ(rest_of(loader), (Batches{{0}, {1}}));
}

TEST(DataLoader, IsDestroyedAtAnyMoment) {
  for (int round = 0; round < 200; ++round) {
    for (const Make make : kMakers) {
      DataLoader<Numbers> loader = make(50, {.batch_size = 2, .shuffle = true, .num_workers = 1 + round % 4});
      for (int i = 0; i < round % 7; ++i) loader.next();
      DataLoader<Numbers> moved = std::move(loader);
      if (round % 2 == 0) moved.next();
    }
  }
}

TEST(DataLoader, RanksShareAnEpoch) {
  for (const Make make : {loader_of, stream_loader_of}) {
    Batches all;
    for (int64_t rank = 0; rank < 3; ++rank) {
      DataLoader<Numbers> loader =
          make(30, {.batch_size = 4, .shuffle = true, .rank = rank, .world_size = 3, .shuffle_buffer = 5});
      const Batches own = rest_of(loader);
      EXPECT_EQ(sorted_union(own).size(), 10u);
      all.insert(all.end(), own.begin(), own.end());
    }
    EXPECT_EQ(sorted_union(all), range(30));
  }
}

TEST(DataLoader, StreamsFilesIntoBatchesOfTokens) {
  const TempFolder folder;
  const auto a = folder.write("a.tsv", "label\ttext\npositive\tgood\nnegative\tbad bad\n");
  const auto b = folder.write("b.jsonl", "{\"text\": \"bad\", \"label\": \"neutral\"}\n");
  std::vector<std::string> vocabulary(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  vocabulary.insert(vocabulary.end(), {"good", "bad"});
  const Tokenizer tokenizer(vocabulary);
  const FileStream files({a, b}, [](const std::filesystem::path& path) { return ExampleReader(path); });
  const auto collate = [&tokenizer](const std::vector<Example>& examples) {
    std::vector<LabelledIds> texts;
    for (const Example& example : examples) texts.push_back({tokenizer.encode(example.text).ids, example.label});
    return collate_labelled(texts);
  };
  DataLoader loader(files, collate, {.batch_size = 2, .num_workers = 2});
  for (int epoch = 0; epoch < 2; ++epoch) {
    const std::optional<LabelledBatch> first = loader.next();
    EXPECT_EQ(first->sequences.offsets, (Offsets{0, 3, 7}));
    EXPECT_EQ(first->labels.data<int32_t>()[0], 2);
    EXPECT_EQ(first->labels.data<int32_t>()[1], 0);
    const std::optional<LabelledBatch> second = loader.next();
    EXPECT_EQ(second->sequences.offsets, (Offsets{0, 3}));
    EXPECT_EQ(second->sequences.ids.data<int32_t>()[1], 6);
    EXPECT_FALSE(loader.next());
  }
}

TEST(DataLoader, MayBeAssignedToWhileItsWorkersRun) {
  DataLoader loader = loader_of(1000, {.batch_size = 1, .num_workers = 3});
  loader.next();
  loader = loader_of(5, {.batch_size = 1, .num_workers = 3});
  EXPECT_EQ(rest_of(loader).size(), 5u);
}

TEST(DataLoader, ADamagedPositionInAStreamIsItsEnd) {
  DataLoader loader = stream_loader_of(10, {.batch_size = 2});
  loader.next();
  std::string state = loader.state();
  const std::string position = "\"position\":1";
  ASSERT_NE(state.find(position), std::string::npos) << state;
  state.replace(state.find(position), position.size(), "\"position\":18446744073709551615");
  loader.load_state(state);
  EXPECT_FALSE(loader.next().has_value());
}

}  // namespace
}  // namespace qing::nn
