// Batches of texts of several requests for a model of another task than classification.
#include <future>
#include <mutex>

#include <qing/serve/batching/batcher.h>
#include <qing/tensor/errors.h>

#include "serve/serve_fixture.h"

namespace qing::serve {
namespace {

using Texts = std::vector<std::string>;
using Status = BatchResult::Status;

struct Log {
  std::mutex mutex;
  std::vector<Texts> batches;
};

// Gives each text a token for each of its characters. The text "bad" fails.
class CountingWork final : public SharedWork {
 public:
  CountingWork(Log& log, Texts texts) : texts(std::move(texts)), tokens(this->texts.size()), log_(log) {}
  std::vector<std::int32_t> run(std::span<const Text> batch) override {
    Texts all;
    for (const Text& text : batch) all.push_back(of(text).texts[text.index]);
    {
      const std::lock_guard lock(log_.mutex);
      log_.batches.push_back(all);
    }
    std::vector<std::int32_t> found;
    for (size_t i = 0; i < batch.size(); ++i) {
      if (all[i] == "bad") throw DataError("a bad text");
      of(batch[i]).tokens[batch[i].index] = static_cast<std::int32_t>(all[i].size());
      found.push_back(static_cast<std::int32_t>(all[i].size()));
    }
    return found;
  }
  static CountingWork& of(const Text& text) { return dynamic_cast<CountingWork&>(*text.work); }

  const Texts texts;
  std::vector<std::int32_t> tokens;

 private:
  Log& log_;
};

class SharedBatches : public ::testing::Test {
 protected:
  SharedBatches() {
    limits_.queue_texts = 100;
    limits_.batch_texts = 4;
    limits_.batch_tokens = 1000;
    limits_.compute_workers = 1;
  }
  ~SharedBatches() override { blocker_->release(); }

  // Starts the batcher and blocks its worker with another model, so that later requests queue up.
  void occupy() {
    batcher_.emplace(limits_);
    blocker_->hold();
    BatchRequest request;
    request.classifier = blocker_;
    request.texts = {"first"};
    ASSERT_TRUE(batcher_->submit(std::move(request), [](const BatchResult&) {}));
    blocker_->wait_for_batches(1);
  }
  std::future<BatchResult> submit(const Texts& texts, const std::string& key = "", const CancelToken& cancelled = {}) {
    BatchRequest request;
    request.model = model_;
    request.texts.resize(texts.size());
    for (const std::string& text : texts) request.costs.push_back(text.size() + 1);
    request.key = key;
    request.cancelled = cancelled;
    request.statistics = statistics_;
    request.shared = std::make_shared<CountingWork>(log_, texts);
    const auto promise = std::make_shared<std::promise<BatchResult>>();
    const bool admitted =
        batcher_->submit(std::move(request), [promise](BatchResult result) { promise->set_value(std::move(result)); });
    if (!admitted) promise->set_value({Status::kRefused, {}, {}});
    return promise->get_future();
  }
  static std::vector<std::int32_t> tokens_of(const BatchResult& result) {
    std::vector<std::int32_t> tokens;
    for (const nn::Prediction& prediction : result.predictions) tokens.push_back(prediction.tokens);
    return tokens;
  }

  Limits limits_;
  Log log_;
  std::shared_ptr<FakeClassifier> blocker_ = std::make_shared<FakeClassifier>();
  std::shared_ptr<FakeClassifier> model_ = std::make_shared<FakeClassifier>();
  std::shared_ptr<ModelStatistics> statistics_ = std::make_shared<ModelStatistics>();
  std::optional<Batcher> batcher_;
};

TEST_F(SharedBatches, HoldTextsOfSeveralRequests) {
  occupy();
  auto a = submit({"a"}), b = submit({"bb", "ccc"}), c = submit({"d", "ee", "f"});
  blocker_->release();
  EXPECT_EQ(tokens_of(a.get()), (std::vector<std::int32_t>{1}));
  EXPECT_EQ(tokens_of(b.get()), (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(tokens_of(c.get()), (std::vector<std::int32_t>{1, 2, 1}));
  EXPECT_EQ(log_.batches, (std::vector<Texts>{{"a", "bb", "ccc", "d"}, {"ee", "f"}}));
  EXPECT_EQ(statistics_->batches, 2U);
  EXPECT_EQ(statistics_->texts, 6U);
  EXPECT_EQ(statistics_->tokens, 10U) << "those that were computed, not the estimates";
}

TEST_F(SharedBatches, AreBoundByTheEstimatedTokens) {
  limits_.batch_tokens = 12;
  occupy();
  auto a = submit({"aaaa", "bbbb"}), b = submit({"cccc"}), c = submit({std::string(30, 'x')});
  blocker_->release();
  EXPECT_EQ(c.get().status, Status::kDone);
  EXPECT_EQ(log_.batches, (std::vector<Texts>{{"aaaa", "bbbb"}, {"cccc"}, {std::string(30, 'x')}}));
}

TEST_F(SharedBatches, FailOnlyTheRequestWithTheBadText) {
  occupy();
  auto a = submit({"a"}), b = submit({"bb", "bad"}), c = submit({"ccc"});
  blocker_->release();
  EXPECT_EQ(tokens_of(a.get()), (std::vector<std::int32_t>{1}));
  EXPECT_EQ(tokens_of(c.get()), (std::vector<std::int32_t>{3}));
  const BatchResult failed = b.get();
  EXPECT_EQ(failed.status, Status::kFailed);
  EXPECT_THROW(std::rethrow_exception(failed.error), DataError);
  EXPECT_EQ(statistics_->failed, 1U);
}

TEST_F(SharedBatches, LeaveOutTextsThatNobodyWaitsFor) {
  const auto left = std::make_shared<std::atomic<bool>>(false);
  occupy();
  auto a = submit({"a"}), b = submit({"bb", "ccc"}, "", left);
  left->store(true);
  blocker_->release();
  EXPECT_EQ(a.get().status, Status::kDone);
  EXPECT_EQ(b.get().status, Status::kCancelled);
  EXPECT_EQ(log_.batches, (std::vector<Texts>{{"a"}}));
}

TEST_F(SharedBatches, CountEachTextForTheBoundsOfTheQueue) {
  limits_.queue_texts = 3;
  occupy();
  auto a = submit({"a", "b"});
  EXPECT_EQ(submit({"c", "d"}).get().status, Status::kRefused);
  auto c = submit({"c"});
  EXPECT_EQ(statistics_->queued_texts, 3);
  blocker_->release();
  EXPECT_EQ(a.get().status, Status::kDone);
  EXPECT_EQ(c.get().status, Status::kDone);
  EXPECT_EQ(statistics_->queued_texts, 0);
  EXPECT_EQ(statistics_->queued_tokens, 0);
}

TEST_F(SharedBatches, AreStoppedBeforeTheyBegin) {
  occupy();
  auto a = submit({"a", "b"});
  auto stopping = std::async(std::launch::async, [this] { batcher_->stop(); });
  // The queue refuses only after stopping has begun.
  for (bool refused = false; !refused;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    auto late = submit({"late"});
    refused =
        late.wait_for(std::chrono::seconds(0)) == std::future_status::ready && late.get().status == Status::kRefused;
  }
  blocker_->release();
  stopping.get();
  EXPECT_EQ(a.get().status, Status::kStopped);
  EXPECT_TRUE(log_.batches.empty());
}

}  // namespace
}  // namespace qing::serve
