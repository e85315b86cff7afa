// Continuous batching with a model of random weights, whose translations have as many tokens as a test asks for.
#include <qing/serve/tasks/translation/translation_scheduler.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <qing/tensor/errors.h>

#include "nn/small_translation.h"

namespace qing::serve::translation {
namespace {

using Status = TranslationOutcome::Status;
using std::chrono::minutes;
using std::chrono::steady_clock;

std::shared_ptr<const nn::Translator> random_translator(std::uint64_t seed = 1) {
  auto model = std::make_unique<nn::TranslationModel>(
      nn::test::random_translation_model(nn::test::small_translation_config(), seed));
  model->eval();
  std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (char c = 'a'; c <= 'r'; ++c) vocabulary.emplace_back(1, c);
  return std::make_shared<nn::Translator>(std::move(model), nn::Tokenizer(vocabulary, {.max_length = 1 << 20}),
                                          std::vector<nn::TranslationDirection>{}, nn::DecodingOptions{}, DType::f32);
}

// Exactly so many tokens.
nn::DecodingOptions tokens(std::int64_t count, std::int64_t beams = 1) {
  return {.beam_size = beams, .max_tokens = count, .min_tokens = count};
}

class Scheduling : public ::testing::Test {
 protected:
  // A request whose outcome is a future, and whose texts are noted as they begin and end.
  struct Asked {
    std::string name;
    std::vector<std::string> texts;
    nn::DecodingOptions options = tokens(5);
    std::string key = {};
    std::shared_ptr<const nn::Translator> translator = nullptr;
    steady_clock::time_point deadline = steady_clock::now() + minutes(1);
    std::function<bool()> left = [] { return false; };
    std::function<void(size_t text)> on_token = [](size_t) {};
  };
  std::future<TranslationOutcome> submit(Asked asked, size_t most_waiting = 1000) {
    TranslationJob job;
    job.translator = asked.translator ? asked.translator : translator_;
    job.texts = asked.texts;
    job.options = asked.options;
    job.key = asked.key;
    job.deadline = asked.deadline;
    job.left = asked.left;
    job.on_token = [this, asked](size_t text, const std::string& so_far) {
      told_bytes_ += so_far.size();
      note_token(asked.name + std::to_string(text));
      asked.on_token(text);
    };
    job.on_text = [this, asked](size_t text, const nn::Translation&) { note_end(asked.name + std::to_string(text)); };
    const auto promise = std::make_shared<std::promise<TranslationOutcome>>();
    job.on_end = [promise](TranslationOutcome outcome) { promise->set_value(std::move(outcome)); };
    if (!scheduler_->submit(std::move(job), most_waiting)) {
      promise->set_exception(std::make_exception_ptr(std::length_error("refused")));
    }
    return promise->get_future();
  }
  void start(const SchedulerLimits& limits) { scheduler_.emplace(limits); }
  void TearDown() override { scheduler_.reset(); }

  void note_token(const std::string& text) {
    const std::lock_guard lock(mutex_);
    ++tokens_[text];
    live_.insert(text);
    most_live_ = std::max(most_live_, live_.size());
  }
  void note_end(const std::string& text) {
    const std::lock_guard lock(mutex_);
    live_.erase(text);
    ended_.push_back(text);
  }
  size_t place_of(const std::string& text) const {
    const auto found = std::ranges::find(ended_, text);
    EXPECT_NE(found, ended_.end()) << text;
    return static_cast<size_t>(found - ended_.begin());
  }

  const std::shared_ptr<const nn::Translator> translator_ = random_translator();
  std::mutex mutex_;
  std::map<std::string, int> tokens_;  // told, of each text
  std::set<std::string> live_;
  size_t most_live_ = 0;
  std::atomic<size_t> told_bytes_ = 0;  // of all tokens' texts so far
  std::vector<std::string> ended_;      // in order
  std::optional<TranslationScheduler> scheduler_;
};

TEST_F(Scheduling, TranslationsAreThoseOfTheTranslator) {
  start({.rows = 3});
  const std::vector<std::string> texts = {"a b c", "d", "", "e f g h i", "a\nb c\n\nd"};
  std::vector<std::future<TranslationOutcome>> asked;
  for (const std::int64_t beams : {1, 2, 3}) {
    asked.push_back(submit({.name = "x", .texts = texts, .options = {.beam_size = beams, .max_tokens = 12}}));
  }
  for (std::int64_t beams = 1; beams <= 3; ++beams) {
    const TranslationOutcome outcome = asked[static_cast<size_t>(beams) - 1].get();
    const auto expected = translator_->translate(texts, {}, {.beam_size = beams, .max_tokens = 12});
    ASSERT_EQ(outcome.status, Status::kDone);
    ASSERT_EQ(outcome.translations.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(outcome.translations[i].text, expected[i].text);
      EXPECT_EQ(outcome.translations[i].score, expected[i].score);
    }
  }
}

TEST_F(Scheduling, AtMostSoManyHypothesesHavePlaces) {
  start({.rows = 3});
  std::vector<std::future<TranslationOutcome>> asked;
  for (int i = 0; i < 4; ++i) {
    const std::string name(1, static_cast<char>('a' + i));
    asked.push_back(submit({.name = name, .texts = {"a", "b", "c"}}));
  }
  for (auto& each : asked) EXPECT_EQ(each.get().status, Status::kDone);
  EXPECT_EQ(most_live_, 3U);
  EXPECT_EQ(ended_.size(), 12U);
  // A beam that is wider than all places is computed alone.
  EXPECT_EQ(submit({.name = "wide", .texts = {"a"}, .options = tokens(4, 5)}).get().status, Status::kDone);
}

TEST_F(Scheduling, TheReportsOfALongTextGrowWithItsBytesAndNotTheirSquare) {
  start({.rows = 1});
  std::string text;
  for (int line = 0; line < 5000; ++line) text += "a b c\n";
  const TranslationOutcome outcome = submit({.name = "a", .texts = {text}, .options = tokens(2)}).get();
  ASSERT_EQ(outcome.status, Status::kDone);
  const size_t bytes = outcome.translations.at(0).text.size();
  ASSERT_GT(bytes, 4000U);
  // Up to 2048 bytes each token is told, and then each sixteenth. All tokens would have half the square of the bytes.
  EXPECT_LT(told_bytes_, 2048 * 2048 / 2 + 20 * bytes);
  EXPECT_GT(told_bytes_, 2 * bytes) << "the reader still follows";
}

TEST_F(Scheduling, ALargeCacheHoldsBackFurtherPieces) {
  start({.rows = 100, .cache_bytes = 1});
  std::future<TranslationOutcome> late;
  std::atomic<bool> asked = false;
  auto first = submit({.name = "a", .texts = {"a"}, .options = tokens(20), .on_token = [&](size_t) {
                         if (!asked.exchange(true)) late = submit({.name = "b", .texts = {"a"}});
                       }});
  EXPECT_EQ(first.get().status, Status::kDone);
  EXPECT_EQ(late.get().status, Status::kDone);
  EXPECT_EQ(most_live_, 1U) << "as long as one has bytes, no other begins";
}

TEST_F(Scheduling, AClientThatLeavesFreesItsPlaces) {
  start({.rows = 1});
  std::atomic<int> seen = 0;
  std::promise<void> begun;
  auto first = submit({.name = "a",
                       .texts = {"a b c", "d"},
                       .options = tokens(39),
                       .left = [&seen] { return seen >= 3; },
                       .on_token =
                           [&](size_t) {
                             if (++seen == 1) begun.set_value();
                           }});
  begun.get_future().wait();
  auto second = submit({.name = "b", .texts = {"a b"}});
  const TranslationOutcome left = first.get();
  EXPECT_EQ(left.status, Status::kLeft);
  EXPECT_TRUE(left.translations.empty());
  EXPECT_GT(left.tokens, 0) << "what was read is charged";
  EXPECT_EQ(second.get().status, Status::kDone);
  EXPECT_EQ(tokens_["a0"], 3) << "no token is computed for nobody";
  EXPECT_FALSE(tokens_.contains("a1"));
  EXPECT_EQ(ended_, (std::vector<std::string>{"b0"}));
}

TEST_F(Scheduling, APlaceThatIsFreeGoesToTheKeyWithTheFewest) {
  start({.rows = 2});
  std::future<TranslationOutcome> late;
  std::atomic<bool> asked = false;
  auto greedy = submit({.name = "a", .texts = {"a", "b", "c", "d", "e", "f"}, .key = "greedy", .on_token = [&](size_t) {
                          if (!asked.exchange(true)) late = submit({.name = "b", .texts = {"a"}, .key = "modest"});
                        }});
  EXPECT_EQ(greedy.get().status, Status::kDone);
  EXPECT_EQ(late.get().status, Status::kDone);
  EXPECT_LT(place_of("b0"), place_of("a3")) << "it waits for one place, not for all that was there before";
}

TEST_F(Scheduling, RequestsOfAKeyShareItsPlaces) {
  start({.rows = 4});
  std::future<TranslationOutcome> late;
  std::atomic<bool> asked = false;
  auto large =
      submit({.name = "a", .texts = std::vector<std::string>(20, "a b"), .key = "one", .on_token = [&](size_t) {
                if (!asked.exchange(true)) late = submit({.name = "b", .texts = {"a", "b"}, .key = "one"});
              }});
  EXPECT_EQ(large.get().status, Status::kDone);
  EXPECT_EQ(late.get().status, Status::kDone);
  EXPECT_LT(place_of("b1"), place_of("a8"));
}

TEST_F(Scheduling, ARequestThatIsLateEnds) {
  start({.rows = 1});
  auto late = submit({.name = "a", .texts = {"a"}, .deadline = steady_clock::now() - minutes(1)});
  EXPECT_EQ(late.get().status, Status::kExpired);
  EXPECT_EQ(submit({.name = "b", .texts = {"a"}}).get().status, Status::kDone);
  EXPECT_FALSE(tokens_.contains("a0"));
}

TEST_F(Scheduling, SoManyTextsOfAModelMayWait) {
  start({.rows = 1});
  std::promise<void> begun, go;
  const std::shared_future<void> gate = go.get_future().share();
  std::atomic<bool> told = false;
  auto first = submit({.name = "a", .texts = {"a"}, .on_token = [&](size_t) {
                         if (!told.exchange(true)) begun.set_value();
                         gate.wait();
                       }});
  begun.get_future().wait();
  const nn::TaskModel* const model = translator_.get();
  EXPECT_TRUE(scheduler_->would_admit(model, 1));
  auto second = submit({.name = "b", .texts = {"a", "b"}}, 2);
  EXPECT_FALSE(scheduler_->would_admit(model, 2));
  EXPECT_THROW(submit({.name = "c", .texts = {"a"}}, 2).get(), std::length_error);
  const auto other = random_translator(2);
  EXPECT_TRUE(scheduler_->would_admit(other.get(), 2)) << "each model has its own queue";
  auto third = submit({.name = "d", .texts = {"a", "b"}, .translator = other}, 2);
  go.set_value();
  for (auto* each : {&first, &second, &third}) EXPECT_EQ(each->get().status, Status::kDone);
  EXPECT_TRUE(scheduler_->would_admit(model, 1)) << "nothing waits any more";
  EXPECT_EQ(ended_.size(), 5U);
}

TEST_F(Scheduling, AnErrorEndsItsRequestAlone) {
  start({.rows = 4});
  auto bad = submit({.name = "a", .texts = {"a", "\xff", "b"}});
  auto good = submit({.name = "b", .texts = {"a b"}});
  const TranslationOutcome failed = bad.get();
  EXPECT_EQ(failed.status, Status::kFailed);
  EXPECT_THROW(std::rethrow_exception(failed.error), DataError);
  EXPECT_EQ(good.get().status, Status::kDone);
}

TEST_F(Scheduling, AStopEndsAllRequests) {
  start({.rows = 1});
  std::promise<void> begun, go;
  const std::shared_future<void> gate = go.get_future().share();
  std::atomic<bool> told = false;
  auto first = submit({.name = "a", .texts = {"a b c"}, .options = tokens(39), .on_token = [&](size_t) {
                         if (!told.exchange(true)) begun.set_value();
                         gate.wait();
                       }});
  begun.get_future().wait();
  auto second = submit({.name = "b", .texts = {"a"}});
  auto stopping = std::async(std::launch::async, [this] { scheduler_->stop(); });
  while (scheduler_->would_admit(translator_.get(), 1000)) std::this_thread::yield();
  EXPECT_THROW(submit({.name = "c", .texts = {"a"}}).get(), std::length_error);
  go.set_value();
  stopping.get();
  EXPECT_EQ(first.get().status, Status::kStopped);
  EXPECT_EQ(second.get().status, Status::kStopped);
  EXPECT_TRUE(ended_.empty());
}

}  // namespace
}  // namespace qing::serve::translation
