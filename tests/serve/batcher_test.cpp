// The batcher: composition of batches, bounds, fairness, deadlines, cancellation.
#include <algorithm>
#include <future>
#include <map>

#include <qing/serve/batching/batcher.h>
#include <qing/tensor/threads.h>

#include "serve/serve_fixture.h"

namespace qing::serve {
namespace {

using Texts = std::vector<std::string>;
using Status = BatchResult::Status;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class BatcherTest : public ::testing::Test {
 protected:
  BatcherTest() {
    limits.queue_texts = 100;
    limits.batch_texts = 8;
    limits.batch_tokens = 1000;
    limits.compute_workers = 1;
  }
  std::future<BatchResult> submit(BatchRequest request) {
    if (!request.classifier) request.classifier = classifier;
    request.statistics = statistics;
    auto promise = std::make_shared<std::promise<BatchResult>>();
    const bool admitted =
        batcher->submit(std::move(request), [promise](BatchResult result) { promise->set_value(std::move(result)); });
    if (!admitted) promise->set_value({Status::kRefused, {}, {}});
    return promise->get_future();
  }
  std::future<BatchResult> submit(Texts texts, const std::string& key = "") {
    BatchRequest request;
    request.texts = std::move(texts);
    request.key = key;
    request.deadline = Batcher::Clock::now() + minutes(1);
    return submit(std::move(request));
  }
  // Starts the batcher and blocks the worker in a batch of one text, so that later requests queue up.
  std::future<BatchResult> occupy() {
    batcher.emplace(limits);
    classifier->hold();
    auto first = submit({"first"});
    classifier->wait_for_batches(1);
    return first;
  }
  std::vector<Texts> later_batches() const {
    auto batches = classifier->batches();
    batches.erase(batches.begin());
    return batches;
  }

  Limits limits;
  std::shared_ptr<FakeClassifier> classifier = std::make_shared<FakeClassifier>();
  std::shared_ptr<ModelStatistics> statistics = std::make_shared<ModelStatistics>();
  std::optional<Batcher> batcher;
};

TEST_F(BatcherTest, JoinsRequestsInOrderAndSplitsLongOnes) {
  limits.batch_texts = 4;
  auto first = occupy();
  auto a = submit({"a", "bb"});
  auto b = submit({"", "c", "dd", "eee", "f", "gg", "hhh"});
  auto c = submit({"i"});
  classifier->release();
  EXPECT_EQ(a.get().predictions.size(), 2U);
  const BatchResult long_result = b.get();
  std::vector<int> labels;
  for (const nn::Prediction& prediction : long_result.predictions) labels.push_back(prediction.label);
  EXPECT_EQ(labels, (std::vector<int>{0, 1, 2, 0, 1, 2, 0}));
  EXPECT_EQ(c.get().status, Status::kDone);
  EXPECT_EQ(later_batches(), (std::vector<Texts>{{"a", "bb", "", "c"}, {"dd", "eee", "f", "gg"}, {"hhh", "i"}}));
}

TEST_F(BatcherTest, BoundsBatchesByTokens) {
  limits.batch_tokens = 10;
  auto first = occupy();
  const std::string longer_than_a_batch(30, 'x');
  auto a = submit({"aaaa", "bbbb", "cccc", longer_than_a_batch, "dddd"});
  classifier->release();
  const BatchResult result = a.get();
  ASSERT_EQ(result.predictions.size(), 5U);
  EXPECT_EQ(result.predictions[3].tokens, 30);
  EXPECT_EQ(later_batches(), (std::vector<Texts>{{"aaaa", "bbbb"}, {"cccc"}, {longer_than_a_batch}, {"dddd"}}));
  EXPECT_EQ(statistics->tokens, 5U + 46U);
  EXPECT_EQ(statistics->batches, 5U);
}

TEST_F(BatcherTest, DoesNotMixModels) {
  const auto other = std::make_shared<FakeClassifier>();
  auto first = occupy();
  auto a = submit({"a"});
  BatchRequest to_other;
  to_other.classifier = other;
  to_other.texts = {"b"};
  auto b = submit(std::move(to_other));
  auto c = submit({"c"});
  classifier->release();
  EXPECT_EQ(c.get().predictions.size(), 1U);
  EXPECT_EQ(b.get().predictions.size(), 1U);
  EXPECT_EQ(other->batches(), (std::vector<Texts>{{"b"}}));
  EXPECT_EQ(later_batches(), (std::vector<Texts>{{"a", "c"}}));
}

TEST_F(BatcherTest, BoundsTheQueueInTextsAndTokens) {
  limits.queue_texts = 3;
  limits.queue_tokens = 20;
  auto first = occupy();
  auto a = submit({"a", "b"});
  EXPECT_EQ(submit({"c", "d"}).get().status, Status::kRefused);
  EXPECT_EQ(submit({std::string(60, 'x')}).get().status, Status::kRefused);
  auto c = submit({"c"});
  EXPECT_EQ(statistics->queued_texts, 3);
  EXPECT_EQ(statistics->queued_requests, 2);
  EXPECT_EQ(statistics->refused, 2U);
  classifier->release();
  EXPECT_EQ(c.get().status, Status::kDone);
  EXPECT_EQ(submit({"d", "e", "f"}).get().predictions.size(), 3U);
  EXPECT_EQ(statistics->queued_texts, 0);
  EXPECT_EQ(statistics->queued_tokens, 0);
  EXPECT_EQ(statistics->queued_requests, 0);
  for (size_t Limits::*limit :
       {&Limits::queue_texts, &Limits::queue_tokens, &Limits::batch_texts, &Limits::batch_tokens}) {
    Limits zero;
    zero.*limit = 0;
    EXPECT_THROW(Batcher{zero}, ValueError);
  }
}

TEST_F(BatcherTest, ServesKeysInRotation) {
  limits.batch_texts = 4;
  limits.batch_tokens = 1600;
  auto first = occupy();
  // 100 bytes a text: 35 tokens by estimate, so that a turn of 256 is eight texts.
  Texts many;
  for (int i = 0; i < 40; ++i) many.push_back(std::string(99, 'g') + std::string(1, static_cast<char>('A' + i)));
  auto greedy = submit(many, "greedy");
  submit({std::string(100, 'm')}, "modest");
  submit({std::string(100, 'o')}, "other");
  classifier->release();
  EXPECT_EQ(greedy.get().predictions.size(), 40U);
  const auto batches = later_batches();
  const auto batch_of = [&](const std::string& text) {
    return std::find_if(batches.begin(), batches.end(),
                        [&](const Texts& batch) { return std::find(batch.begin(), batch.end(), text) != batch.end(); });
  };
  EXPECT_LT(batch_of(std::string(100, 'm')), batch_of(many.back()));
  EXPECT_LT(batch_of(std::string(100, 'o')), batch_of(many.back()));
}

TEST_F(BatcherTest, EvictsTheKeyThatQueuedMost) {
  limits.queue_texts = 4;
  auto first = occupy();
  std::vector<std::future<BatchResult>> greedy;
  for (const char* text : {"a", "b", "c", "d"}) greedy.push_back(submit({text}, "greedy"));
  auto modest = submit({"m"}, "modest");
  EXPECT_EQ(greedy[3].get().status, Status::kRefused);
  EXPECT_EQ(submit({"e"}, "greedy").get().status, Status::kRefused);
  EXPECT_EQ(submit({"1", "2", "3", "4", "5"}, "third").get().status, Status::kRefused);
  classifier->release();
  EXPECT_EQ(modest.get().status, Status::kDone);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(greedy[static_cast<size_t>(i)].get().status, Status::kDone) << i;
}

TEST_F(BatcherTest, ModelsShareTheTime) {
  const auto other = std::make_shared<FakeClassifier>();
  limits.batch_texts = 1;
  auto first = occupy();
  std::vector<std::future<BatchResult>> all;
  for (int i = 0; i < 20; ++i) all.push_back(submit({"many"}));
  BatchRequest request;
  request.classifier = other;
  request.texts = {"one"};
  // The lane that was just computed has been served. The other one is next, regardless of the queue order.
  auto one = submit(std::move(request));
  other->hold();
  classifier->release();
  other->wait_for_batches(1);
  EXPECT_LT(classifier->batches().size(), 20U);
  other->release();
  one.get();
  for (auto& result : all) result.get();
}

TEST_F(BatcherTest, BackgroundWorkWaitsForAllOtherRequests) {
  limits.batch_texts = 1;
  auto first = occupy();
  BatchRequest request;
  request.texts = {"shadow"};
  request.background = true;
  auto shadow = submit(std::move(request));
  auto a = submit({"a"});
  auto b = submit({"b"});
  classifier->release();
  EXPECT_EQ(shadow.get().status, Status::kDone);
  EXPECT_EQ(later_batches(), (std::vector<Texts>{{"a"}, {"b"}, {"shadow"}}));
}

TEST_F(BatcherTest, FailsOnlyTheRequestWithTheBadText) {
  auto first = occupy();
  auto good = submit({"a"});
  auto bad = submit({"poison"});
  auto broken = submit({"b", "broken", "c"});
  auto empty = submit(Texts{});
  EXPECT_EQ(empty.get().status, Status::kDone);
  classifier->release();
  EXPECT_EQ(good.get().predictions.size(), 1U);
  const BatchResult failed = bad.get();
  EXPECT_EQ(failed.status, Status::kFailed);
  EXPECT_THROW(std::rethrow_exception(failed.error), DataError);
  EXPECT_THROW(std::rethrow_exception(broken.get().error), ValueError);
  EXPECT_EQ(statistics->failed, 2U);
}

TEST_F(BatcherTest, ExpiresAndStops) {
  limits.batch_texts = 1;
  auto first = occupy();
  BatchRequest request;
  request.texts = {"late"};
  request.deadline = Batcher::Clock::now() - seconds(1);
  auto late = submit(std::move(request));
  classifier->release();
  EXPECT_EQ(first.get().status, Status::kDone);
  EXPECT_EQ(late.get().status, Status::kExpired);
  EXPECT_EQ(statistics->expired, 1U);
  batcher->stop();
  EXPECT_EQ(submit({"x"}).get().status, Status::kRefused);
}

TEST_F(BatcherTest, StopAnswersWhatIsQueued) {
  limits.batch_texts = 1;
  auto first = occupy();
  auto half = submit({"a", "b", "c"});
  auto second = submit({"d"});
  auto stopping = std::async(std::launch::async, [this] { batcher->stop(); });
  // The queue refuses only after stopping has begun. Earlier requests wait for the release below.
  for (bool refused = false; !refused;) {
    std::this_thread::sleep_for(milliseconds(1));
    auto late = submit({"late"});
    refused = late.wait_for(seconds(0)) == std::future_status::ready && late.get().status == Status::kRefused;
  }
  classifier->release();
  stopping.get();
  EXPECT_EQ(first.get().status, Status::kDone);
  EXPECT_EQ(half.get().status, Status::kStopped);
  EXPECT_EQ(second.get().status, Status::kStopped);
}

TEST_F(BatcherTest, DropsTheWorkOfClientsThatLeft) {
  auto first = occupy();
  const auto left = std::make_shared<std::atomic<bool>>(false);
  BatchRequest request;
  request.texts = {"gone"};
  request.cancelled = left;
  auto gone = submit(std::move(request));
  auto here = submit({"here"});
  *left = true;
  classifier->release();
  EXPECT_EQ(gone.get().status, Status::kCancelled);
  EXPECT_EQ(here.get().status, Status::kDone);
  EXPECT_EQ(later_batches(), (std::vector<Texts>{{"here"}}));
  EXPECT_EQ(statistics->cancelled, 1U);
}

TEST_F(BatcherTest, StoresNothingWithoutACache) {
  batcher.emplace(limits);
  submit({"repeated"}).get();
  submit({"repeated"}).get();
  EXPECT_EQ(classifier->batches(), (std::vector<Texts>{{"repeated"}, {"repeated"}}));
  EXPECT_EQ(statistics->cached, 0U);
}

TEST_F(BatcherTest, AnswersRepeatedTextsFromTheCache) {
  limits.cache_bytes = 4096;
  batcher.emplace(limits);
  const BatchResult computed = submit({"repeated", "twice"}).get();
  const BatchResult cached = submit({"twice", "new", "repeated"}).get();
  EXPECT_EQ(classifier->batches(), (std::vector<Texts>{{"repeated", "twice"}, {"new"}}));
  EXPECT_EQ(cached.predictions[2].scores, computed.predictions[0].scores);
  EXPECT_EQ(cached.predictions[0].tokens, 5);
  EXPECT_EQ(statistics->cached, 2U);
  // Another model has its own answers. The cache does not grow: the oldest entry is removed.
  const auto other = std::make_shared<FakeClassifier>();
  BatchRequest request;
  request.classifier = other;
  request.texts = {"repeated"};
  submit(std::move(request)).get();
  EXPECT_EQ(other->batches().size(), 1U);
  for (int i = 0; i < 50; ++i) submit({"filler " + std::to_string(i)}).get();
  const size_t before = classifier->batches().size();
  submit({"twice"}).get();
  EXPECT_EQ(classifier->batches().size(), before + 1);
}

TEST_F(BatcherTest, RunsOtherWorkAloneAndInTurn) {
  auto first = occupy();
  auto a = submit({"a"});
  std::vector<size_t> order;  // 100 marks the batch of b
  const auto with_work = [&](Texts texts, std::function<nn::Prediction(size_t)> work) {
    BatchRequest request;
    request.texts = std::move(texts);
    request.work_cost = 50;
    request.work = std::move(work);
    return submit(std::move(request));
  };
  auto work = with_work({"x", "y", "z"}, [&](size_t i) {
    if (classifier->batches().size() == 3) order.push_back(100);
    order.push_back(i);
    return nn::Prediction{1, {0, 1, 0}, static_cast<std::int32_t>(i), false};
  });
  auto b = submit({"b"});
  auto failed = with_work({"x", "y"}, [](size_t) -> nn::Prediction { throw ValueError("no"); });
  EXPECT_EQ(statistics->queued_tokens, 2 + 2 + 5 * 50 * 2);
  classifier->release();
  const BatchResult result = work.get();
  ASSERT_EQ(result.status, Status::kDone);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(result.predictions[i].tokens, static_cast<std::int32_t>(i));
  EXPECT_EQ(order.size(), 5U) << "b waits for one text of the other work, not for all";
  EXPECT_EQ(order[1], 100U);
  EXPECT_THROW(std::rethrow_exception(failed.get().error), ValueError);
  EXPECT_EQ(b.get().status, Status::kDone);
  EXPECT_EQ(statistics->queued_tokens, 0);
}

TEST_F(BatcherTest, SkipsTheRestOfWorkThatNobodyWaitsFor) {
  auto first = occupy();
  const auto left = std::make_shared<std::atomic<bool>>(false);
  size_t calls = 0;
  BatchRequest request;
  request.texts = {"x", "y", "z"};
  request.cancelled = left;
  request.work = [&](size_t) {
    ++calls;
    *left = true;
    return nn::Prediction{1, {0, 1, 0}, 7, false};
  };
  auto work = submit(std::move(request));
  classifier->release();
  const BatchResult result = work.get();
  EXPECT_EQ(result.status, Status::kCancelled);
  EXPECT_EQ(calls, 1U);
  EXPECT_EQ(result.predictions[0].tokens + result.predictions[1].tokens + result.predictions[2].tokens, 7);
}

// Four keys have queued 200, 200, 350 and 250 tokens. To make room for 380 more, the request of 350 would have to be
// evicted, but its key has queued less than the new one.
TEST_F(BatcherTest, EvictsNothingIfThatMakesNotEnoughRoom) {
  limits.queue_tokens = 1000;
  auto first = occupy();
  const auto of_tokens = [](size_t tokens) { return Texts(tokens / 10, std::string(24, 'x')); };
  auto a1 = submit(of_tokens(200), "a"), a2 = submit(of_tokens(200), "a");
  auto b = submit(of_tokens(350), "b"), c = submit(of_tokens(250), "c");
  EXPECT_EQ(statistics->queued_tokens, 1000);
  EXPECT_EQ(submit(of_tokens(380), "d").get().status, Status::kRefused);
  EXPECT_EQ(statistics->queued_tokens, 1000);
  auto e = submit(of_tokens(190), "e");  // the newer one of a makes room
  EXPECT_EQ(a2.get().status, Status::kRefused);
  classifier->release();
  for (auto* one : {&a1, &b, &c, &e}) EXPECT_EQ(one->get().status, Status::kDone);
}

// The first part of a long request is late as well.
TEST_F(BatcherTest, DoesNotBeginALongRequestThatIsLate) {
  limits.queue_tokens = 100000;
  auto first = occupy();
  BatchRequest request;
  request.texts = Texts(90, std::string(24, 'x'));
  request.deadline = Batcher::Clock::now() + milliseconds(1);
  auto late = submit(std::move(request));
  std::this_thread::sleep_for(milliseconds(5));
  classifier->release();
  EXPECT_EQ(late.get().status, Status::kExpired);
  EXPECT_EQ(classifier->batches().size(), 1U);
}

TEST_F(BatcherTest, SaysInAdvanceThatItWouldRefuse) {
  limits.queue_texts = 4;
  auto first = occupy();
  EXPECT_TRUE(batcher->would_admit(classifier.get(), "a"));
  auto a = submit({"1", "2"}, "a");
  auto b = submit({"3", "4"}, "b");
  EXPECT_FALSE(batcher->would_admit(classifier.get(), "a"));
  EXPECT_EQ(submit({"5"}, "a").get().status, Status::kRefused);
  EXPECT_TRUE(batcher->would_admit(classifier.get(), "c")) << "others have queued more and make room";
  EXPECT_EQ(submit({"5"}, "c").wait_for(seconds(0)), std::future_status::timeout);
  EXPECT_TRUE(batcher->would_admit(std::make_shared<FakeClassifier>().get(), "a")) << "another model's queue";
  classifier->release();
}

TEST_F(BatcherTest, DividesALargeRequestAmongTheWorkers) {
  limits.compute_workers = 2;
  limits.batch_texts = 100;
  batcher.emplace(limits);
  classifier->hold();
  // The estimate is 12 tokens per text, 720 in all, so 360 for each worker.
  auto all = submit(Texts(60, std::string(30, 'x')));
  classifier->wait_for_batches(2);
  classifier->release();
  ASSERT_EQ(all.get().predictions.size(), 60U);
  const auto batches = classifier->batches();
  // The order of the two depends on the threads.
  const size_t larger = std::max(batches[0].size(), batches[1].size());
  EXPECT_LE(larger, 31U);
  EXPECT_GE(larger, 12U);
}

TEST_F(BatcherTest, AsManyWorkersAsThreadsUnlessToldOtherwise) {
  EXPECT_EQ(compute_workers({.compute_workers = 3}), 3U);
  const ThreadLimit limit(1);
  EXPECT_EQ(compute_workers({}), 1U);
}

TEST_F(BatcherTest, ManyWorkersAnswerEveryTextOnce) {
  limits.compute_workers = 3;
  limits.queue_texts = 100000;
  limits.batch_tokens = 64;
  batcher.emplace(limits);
  std::vector<std::pair<Texts, std::future<BatchResult>>> all;
  for (int i = 0; i < 300; ++i) {
    Texts texts;
    for (int t = 0; t <= i % 17; ++t) texts.push_back(std::string(static_cast<size_t>((i * 7 + t) % 23), 'x'));
    all.emplace_back(texts, submit(texts, std::to_string(i % 5)));
  }
  for (auto& [texts, future] : all) {
    const BatchResult result = future.get();
    ASSERT_EQ(result.predictions.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      ASSERT_EQ(result.predictions[i].tokens, static_cast<int>(texts[i].size()));
    }
  }
  EXPECT_EQ(statistics->queued_texts, 0);
}

}  // namespace
}  // namespace qing::serve
