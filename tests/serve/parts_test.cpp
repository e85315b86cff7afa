// The service's parts without a socket: batcher, registry, keys.
#include "serve/serve_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include <qing/serve/api_keys.h>
#include <qing/serve/batcher.h>

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;
using Status = BatchResult::Status;

class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (fs::path(::testing::TempDir()) / "qing_serve_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

class BatcherTest : public ::testing::Test {
 protected:
  // Fails the test when the queue has no room.
  std::future<BatchResult> submit(Batcher& batcher, Texts texts, std::shared_ptr<FakeClassifier> to = nullptr,
                                  Batcher::Clock::duration time = std::chrono::minutes(1)) {
    auto promise = std::make_shared<std::promise<BatchResult>>();
    EXPECT_TRUE(batcher.submit(to ? to : classifier, std::move(texts), Batcher::Clock::now() + time,
                               [promise](BatchResult result) { promise->set_value(std::move(result)); }));
    return promise->get_future();
  }
  // Holds the worker in a batch of one text, so that what follows queues up.
  std::future<BatchResult> occupy(Batcher& batcher) {
    classifier->hold();
    auto first = submit(batcher, {"first"});
    classifier->wait_for_batches(1);
    return first;
  }
  std::shared_ptr<FakeClassifier> classifier = std::make_shared<FakeClassifier>();
};

TEST_F(BatcherTest, JoinsRequestsInOrderAndSplitsLongOnes) {
  Batcher batcher(100, 4);
  auto first = occupy(batcher);
  auto a = submit(batcher, {"a", "bb"});
  auto b = submit(batcher, {"", "c", "dd", "eee", "f", "gg", "hhh"});
  auto c = submit(batcher, {"i"});
  classifier->release();
  EXPECT_EQ(a.get().predictions.size(), 2U);
  const BatchResult long_result = b.get();
  std::vector<int> labels;
  for (const nn::Prediction& prediction : long_result.predictions) labels.push_back(prediction.label);
  EXPECT_EQ(labels, (std::vector<int>{0, 1, 2, 0, 1, 2, 0}));
  EXPECT_EQ(c.get().status, Status::kDone);
  EXPECT_EQ(classifier->batches(),
            (std::vector<Texts>{{"first"}, {"a", "bb", "", "c"}, {"dd", "eee", "f", "gg"}, {"hhh", "i"}}));
}

TEST_F(BatcherTest, DoesNotMixModels) {
  const auto other = std::make_shared<FakeClassifier>();
  Batcher batcher(100, 8);
  auto first = occupy(batcher);
  auto a = submit(batcher, {"a"});
  auto b = submit(batcher, {"b"}, other);
  auto c = submit(batcher, {"c"});
  classifier->release();
  EXPECT_EQ(c.get().predictions.size(), 1U);
  EXPECT_EQ(other->batches(), (std::vector<Texts>{{"b"}}));
  EXPECT_EQ(classifier->batches(), (std::vector<Texts>{{"first"}, {"a"}, {"c"}}));
}

TEST_F(BatcherTest, BoundsTheQueue) {
  Batcher batcher(3, 8);
  auto first = occupy(batcher);
  auto a = submit(batcher, {"a", "b"});
  EXPECT_FALSE(batcher.submit(classifier, {"c", "d"}, Batcher::Clock::now(), [](const BatchResult&) { FAIL(); }));
  auto c = submit(batcher, {"c"});
  classifier->release();
  EXPECT_EQ(c.get().status, Status::kDone);
  EXPECT_EQ(submit(batcher, {"d", "e", "f"}).get().predictions.size(), 3U);
  EXPECT_THROW(Batcher(0, 1), ValueError);
  EXPECT_THROW(Batcher(1, 0), ValueError);
}

TEST_F(BatcherTest, FailsOnlyTheCulprit) {
  Batcher batcher(100, 8);
  auto first = occupy(batcher);
  auto good = submit(batcher, {"a"});
  auto bad = submit(batcher, {"poison"});
  auto empty = submit(batcher, {});
  classifier->release();
  EXPECT_EQ(good.get().predictions.size(), 1U);
  const BatchResult failed = bad.get();
  EXPECT_EQ(failed.status, Status::kFailed);
  EXPECT_THROW(std::rethrow_exception(failed.error), DataError);
  EXPECT_EQ(empty.get().status, Status::kDone);
}

TEST_F(BatcherTest, ExpiresAndStops) {
  Batcher batcher(100, 1);
  auto first = occupy(batcher);
  auto late = submit(batcher, {"late"}, nullptr, -std::chrono::seconds(1));
  classifier->release();
  EXPECT_EQ(first.get().status, Status::kDone);
  EXPECT_EQ(late.get().status, Status::kExpired);
  batcher.stop();
  EXPECT_FALSE(batcher.submit(classifier, {"x"}, Batcher::Clock::now(), [](const BatchResult&) { FAIL(); }));
}

TEST(RegistryTest, LoadsTheHighestVersion) {
  const TempFolder root;
  for (const char* folder :
       {"mood/2", "mood/10", "mood/010x", "mood/.tmp", "mood/0", "other/1", "empty", ".hidden/1"}) {
    fs::create_directories(root.path() / folder);
  }
  std::vector<std::string> loaded;
  Registry registry(root.path(), [&](const fs::path& path) {
    loaded.push_back(fs::relative(path, root.path()).string());
    return std::make_shared<FakeClassifier>();
  });
  EXPECT_FALSE(registry.ready());
  registry.load();
  EXPECT_TRUE(registry.ready());
  std::sort(loaded.begin(), loaded.end());
  EXPECT_EQ(loaded, (std::vector<std::string>{"mood/10", "other/1"}));
  const auto mood = registry.find("mood");
  ASSERT_TRUE(mood.has_value());
  EXPECT_EQ(mood->version, 10);
  EXPECT_EQ(mood->versions, (std::vector<std::int64_t>{2, 10}));
  EXPECT_EQ(registry.list().size(), 2U);
  EXPECT_FALSE(registry.find("empty").has_value());
}

TEST(RegistryTest, KeepsWhatItServesWhenLoadingFails) {
  const TempFolder root;
  fs::create_directories(root.path() / "mood" / "1");
  bool broken = false;
  Registry registry(root.path(), [&](const fs::path&) -> std::shared_ptr<const nn::TextClassifier> {
    if (broken) throw IoError("broken");
    return std::make_shared<FakeClassifier>();
  });
  registry.load();
  broken = true;
  fs::create_directories(root.path() / "mood" / "2");
  EXPECT_THROW(registry.load(), IoError);
  EXPECT_EQ(registry.find("mood")->version, 1);
}

TEST(RegistryTest, NamesWhatIsWrong) {
  const TempFolder root;
  EXPECT_THROW(Registry(root.path() / "none").load(), IoError);
  EXPECT_THROW(Registry(root.path()).load(), DataError);
  Registry registry;
  EXPECT_THROW(registry.add("a/b", 1, std::make_shared<FakeClassifier>()), ValueError);
  EXPECT_THROW(registry.add("..", 1, std::make_shared<FakeClassifier>()), ValueError);
  EXPECT_THROW(registry.add("a", 0, std::make_shared<FakeClassifier>()), ValueError);
  EXPECT_THROW(registry.add("a", 1, nullptr), ValueError);
}

TEST(ApiKeysTest, ReadsAndComparesKeys) {
  const TempFolder folder;
  const fs::path file = folder.path() / "keys";
  std::ofstream(file) << "# comment\n  key-one-0123456789  \n\nkey-two-0123456789";
  const ApiKeys keys = ApiKeys::from_file(file);
  EXPECT_EQ(keys.size(), 2U);
  EXPECT_TRUE(keys.accepts("key-one-0123456789"));
  EXPECT_TRUE(keys.accepts("key-two-0123456789"));
  for (const char* wrong : {"", "key-one-012345678", "key-one-01234567890", "# comment", "KEY-ONE-0123456789"}) {
    EXPECT_FALSE(keys.accepts(wrong)) << wrong;
  }
}

TEST(ApiKeysTest, NamesTheLineOfABadKeyButNotTheKey) {
  const TempFolder folder;
  const fs::path file = folder.path() / "keys";
  for (const char* bad : {"short", "with spaces 0123456789", "\xe6\x83\x85-0123456789abcdef"}) {
    std::ofstream(file) << "key-one-0123456789\n" << bad << "\n";
    try {
      ApiKeys::from_file(file);
      FAIL() << bad;
    } catch (const DataError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("keys:2:"), std::string::npos) << text;
      EXPECT_EQ(text.find(bad), std::string::npos) << text;
    }
  }
  std::ofstream(file) << "# nothing\n";
  EXPECT_THROW(ApiKeys::from_file(file), DataError);
  EXPECT_THROW(ApiKeys::from_file(folder.path() / "none"), IoError);
}

}  // namespace
}  // namespace qing::serve
