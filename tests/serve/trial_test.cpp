// Versions on trial: canaries by share of the callers, shadows that are only compared.
#include "serve/serve_fixture.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <qing/serve/monitoring/shadow.h>

#include "nn/temp_folder.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

// Version 1 predicts label 0 for every text. Version 2 predicts label 1 for texts that begin with "b".
class Versioned : public FakeClassifier {
 public:
  Versioned(int version, const char* last) : version_(version), labels_{"negative", "neutral", last} {}
  const std::vector<std::string>& labels() const override { return labels_; }
  std::vector<nn::Prediction> predict_encoded(std::span<const nn::EncodedText> encodings) const override {
    std::vector<nn::Prediction> predictions;
    for (const nn::EncodedText& encoding : encodings) {
      const int label = version_ == 2 && !encoding.ids.empty() && encoding.ids.front() == 'b' ? 1 : 0;
      std::vector<float> scores(3, 0.25F);
      scores[static_cast<size_t>(label)] = 0.5F;
      predictions.push_back({label, scores, 1, false});
    }
    return predictions;
  }

 private:
  int version_;
  std::vector<std::string> labels_;
};

std::shared_ptr<const nn::TextClassifier> load_versioned(const fs::path& folder) {
  if (fs::exists(folder / "broken")) throw DataError("broken weights");
  return std::make_shared<Versioned>(std::stoi(folder.filename()),
                                     fs::exists(folder / "other_labels") ? "joyful" : "positive");
}

class TrialTest : public ServeTest {
 protected:
  TrialTest() {
    for (const char* version : {"1", "2"}) fs::create_directories(root.path() / "mood" / version);
    registry = reopened();
    registry->load("mood", 1);
    server = std::make_unique<Server>(options, registry);
    server->start();
  }
  std::shared_ptr<Registry> reopened() const {
    auto opened = std::make_shared<Registry>(root.path(), load_versioned);
    opened->load();
    return opened;
  }
  RawResponse send(std::string_view method, std::string_view path, std::string_view body = "") {
    return ask(
        fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", method, path, body.size(), body));
  }
  // Returns which of 400 texts the version on trial answers.
  std::set<int> answered_by_candidate() {
    std::set<int> found;
    for (int i = 0; i < 400; ++i) {
      const RawResponse response = ask(post(fmt::format(R"({{"text":"b{}"}})", i)));
      EXPECT_EQ(response.status, 200);
      const bool second = response.body.find(R"("version":"2")") != std::string::npos;
      EXPECT_EQ(response.body.find(R"("label":"neutral")") != std::string::npos, second) << response.body;
      if (second) found.insert(i);
    }
    return found;
  }
  std::uint64_t metric(const std::string& name) {
    const std::string text = ask(get("/metrics")).body, line = "\nqing_" + name + "{model=\"mood\"} ";
    const size_t at = text.find(line);
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + line.size()));
  }

  TempFolder root;
};

TEST_F(TrialTest, ACanaryAnswersItsShareAndAlwaysTheSameCallers) {
  EXPECT_EQ(
      send("PUT", "/v1/admin/models/mood/trial", R"({"version":2,"share":0.25})").body,
      R"({"name":"mood","version":"1","versions":["1","2"],"previous":"2","trial":{"version":"2","share":0.25,"kind":"canary"}})");
  const std::set<int> quarter = answered_by_candidate();
  EXPECT_NEAR(static_cast<double>(quarter.size()), 100, 30);
  EXPECT_EQ(answered_by_candidate(), quarter);
  EXPECT_EQ(metric("model_canary_requests_total"), 2 * quarter.size());
  EXPECT_EQ(send("PUT", "/v1/admin/models/mood/trial", R"({"version":"2","share":0.6})").status, 200);
  const std::set<int> more = answered_by_candidate();
  EXPECT_NEAR(static_cast<double>(more.size()), 240, 35);
  EXPECT_TRUE(std::includes(more.begin(), more.end(), quarter.begin(), quarter.end()));
  EXPECT_EQ(send("DELETE", "/v1/admin/models/mood/trial").status, 200);
  EXPECT_TRUE(answered_by_candidate().empty());
  EXPECT_EQ(send("DELETE", "/v1/admin/models/mood/trial").status, 404);
}

// Behind a gateway all requests may have one key, and the same texts come from many callers.
TEST_F(TrialTest, ACanaryAnswersItsShareOfTheCallersThatAHeaderNames) {
  EXPECT_EQ(send("PUT", "/v1/admin/models/mood/trial", R"({"version":2,"share":0.25})").status, 200);
  const auto answered = [this](const std::string& text) {
    std::set<int> found;
    for (int i = 0; i < 400; ++i) {
      const RawResponse response =
          ask(post(fmt::format(R"({{"text":"{}"}})", text), fmt::format("X-Caller-Id: user-{}\r\n", i)));
      if (response.body.find(R"("version":"2")") != std::string::npos) found.insert(i);
    }
    return found;
  };
  const std::set<int> quarter = answered("a");
  EXPECT_NEAR(static_cast<double>(quarter.size()), 100, 30);
  EXPECT_EQ(answered("another text"), quarter) << "a caller keeps its version";
  EXPECT_EQ(send("PUT", "/v1/admin/models/mood/trial", R"({"version":2,"share":0.6})").status, 200);
  const std::set<int> more = answered("a");
  EXPECT_TRUE(std::includes(more.begin(), more.end(), quarter.begin(), quarter.end()));
  EXPECT_NEAR(static_cast<double>(more.size()), 240, 35);
}

TEST_F(TrialTest, ACanaryAnswersItsShareOfTheRequests) {
  const RawResponse set = send("PUT", "/v1/admin/models/mood/trial", R"({"version":2,"share":0.25,"by":"request"})");
  EXPECT_NE(set.body.find(R"("kind":"canary","by":"request"})"), std::string::npos) << set.body;
  const auto second = [this](std::string_view headers) {
    return ask(post(R"({"text":"a"})", headers)).body.find(R"("version":"2")") != std::string::npos;
  };
  int count = 0;
  for (int i = 0; i < 400; ++i) count += second("X-Caller-Id: one\r\n") ? 1 : 0;
  EXPECT_NEAR(count, 100, 30) << "whoever asks";
  // A request that is sent again with its id gets the same version.
  for (int i = 0; i < 20; ++i) {
    const std::string id = fmt::format("X-Request-Id: r{}\r\n", i);
    EXPECT_EQ(second(id), second(id));
  }
  EXPECT_TRUE(reopened()->find("mood")->trial.by_request) << "after a restart";
  for (const char* const by : {R"("texts")", "1", R"(["request"])"}) {
    const auto refused =
        send("PUT", "/v1/admin/models/mood/trial", fmt::format(R"({{"version":2,"share":0.25,"by":{}}})", by));
    EXPECT_EQ(refused.status, 422) << by;
    EXPECT_NE(refused.body.find("by: must be caller or request"), std::string::npos) << refused.body;
  }
}

TEST_F(TrialTest, TheVersionsNameOneThatIsNewOnTrial) {
  fs::create_directories(root.path() / "mood/7");
  EXPECT_NE(send("PUT", "/v1/admin/models/mood/trial", R"({"version":7,"share":0.25})")
                .body.find(R"("versions":["1","2","7"])"),
            std::string::npos);
  EXPECT_NE(ask(get("/v1/models/mood")).body.find(R"("versions":["1","2","7"])"), std::string::npos);
  EXPECT_NE(ask(get("/v2/models/mood")).body.find(R"("versions":["1","7"])"), std::string::npos);
}

TEST_F(TrialTest, MetricsTellVersionsApart) {
  EXPECT_EQ(send("PUT", "/v1/admin/models/mood/trial", R"({"version":2,"share":0.5})").status, 200);
  const std::set<int> second = answered_by_candidate();
  const std::string text = ask(get("/metrics")).body;
  const auto value = [&](const std::string& series) {
    const size_t at = text.find("\nqing_" + series + " ");
    return at == std::string::npos ? -1 : std::stol(text.substr(at + series.size() + 7));
  };
  const long many = static_cast<long>(second.size());
  EXPECT_EQ(value(R"(version_requests_total{model="mood",version="1"})"), 400 - many);
  EXPECT_EQ(value(R"(version_requests_total{model="mood",version="2"})"), many);
  EXPECT_EQ(value(R"(version_failed_total{model="mood",version="2"})"), 0);
  EXPECT_EQ(value(R"(version_request_seconds_count{model="mood",version="2"})"), many);
  EXPECT_EQ(value(R"(version_request_seconds_bucket{model="mood",version="2",le="+Inf"})"), many);
  EXPECT_EQ(value(R"(version_predictions_total{model="mood",version="2",label="neutral"})"), many);
  EXPECT_EQ(value(R"(version_predictions_total{model="mood",version="1",label="negative"})"), 400 - many);
  EXPECT_EQ(value(R"(model_predictions_total{model="mood",label="neutral"})"), many) << "of all versions";
  EXPECT_EQ(value(R"(version_serving{model="mood",version="1",role="active",task="classification"})"), 1);
  EXPECT_EQ(value(R"(version_serving{model="mood",version="2",role="canary",task="classification"})"), 1);
  // What is served no more has no series, however many versions there were.
  EXPECT_EQ(send("DELETE", "/v1/admin/models/mood/trial").status, 200);
  const std::string after = ask(get("/metrics")).body;
  EXPECT_EQ(after.find(R"(qing_version_requests_total{model="mood",version="2"})"), std::string::npos);
  EXPECT_NE(after.find(fmt::format("qing_model_predictions_total{{model=\"mood\",label=\"neutral\"}} {}\n", many)),
            std::string::npos);
}

TEST_F(TrialTest, AShadowAnswersNoCallerAndIsCompared) {
  EXPECT_EQ(send("PUT", "/v1/admin/models/mood/trial", R"({"version":2,"shadow":true})").status, 200);
  const RawResponse response = ask(post(R"({"texts":["a","b","bb","c"]})"));
  EXPECT_NE(response.body.find(R"("version":"1")"), std::string::npos);
  EXPECT_EQ(response.body.find("neutral\",\"score"), std::string::npos);
  for (int i = 0; i < 1000 && metric("model_shadow_texts_total") < 4; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(metric("model_shadow_texts_total"), 4U);
  EXPECT_EQ(metric("model_shadow_agreed_total"), 2U);
  // Two of three scores differ by 0.25 for two texts.
  EXPECT_NEAR(static_cast<double>(metric("model_shadow_difference_millionths_total")), 2 * 0.5e6 / 3, 2);
  EXPECT_EQ(metric("model_shadow_dropped_total"), 0U);
}

TEST_F(TrialTest, SurvivesARestartAndEndsWithAPromotion) {
  registry->set_trial("mood", {2, 0.5, false});
  EXPECT_EQ(reopened()->find("mood")->trial.version, 2);
  EXPECT_EQ(reopened()->find("mood")->version, 1);
  registry->load("mood", 2);
  EXPECT_EQ(registry->find("mood")->candidate, nullptr);
  EXPECT_EQ(reopened()->find("mood")->candidate, nullptr);
  registry->set_trial("mood", {1, 1, true});
  registry->unload("mood");
  registry->load("mood", 2);
  EXPECT_EQ(registry->find("mood")->candidate, nullptr);
}

// Nobody has chosen version 1, and version 2 is new. Version 2 still answers only its share.
TEST_F(TrialTest, ANewFolderOnTrialDoesNotBecomeActive) {
  fs::create_directories(root.path() / "food/1");
  auto food = reopened();
  fs::create_directories(root.path() / "food/2");
  food->set_trial("food", {2, 0.05, false});
  EXPECT_TRUE(food->rescan().empty());
  for (const auto& opened : {food, reopened()}) {
    EXPECT_EQ(opened->find("food")->version, 1);
    EXPECT_NE(opened->find("food")->candidate, nullptr);
  }
  fs::create_directories(root.path() / "food/3");
  EXPECT_TRUE(food->rescan().empty());
  EXPECT_EQ(food->find("food")->version, 3);
  EXPECT_NE(food->find("food")->candidate, nullptr);
}

TEST_F(TrialTest, EndsWhenAVersionOfOtherLabelsAnswers) {
  registry->set_trial("mood", {2, 0.5, false});
  fs::create_directories(root.path() / "mood/3");
  std::ofstream(root.path() / "mood/3/other_labels");
  EXPECT_FALSE(registry->rescan().empty());
  EXPECT_NE(registry->find("mood")->candidate, nullptr) << "a version that waits ends no trial";
  registry->load("mood", 3, Registry::Replacing::kAnyLabels);
  EXPECT_EQ(registry->find("mood")->version, 3);
  EXPECT_EQ(registry->find("mood")->candidate, nullptr);
  EXPECT_EQ(reopened()->find("mood")->candidate, nullptr);
  EXPECT_EQ(registry->load("mood", 1, Registry::Replacing::kAnyLabels).candidate, nullptr);
  registry->set_trial("mood", {2, 0.5, false});
  EXPECT_EQ(registry->load("mood", 3, Registry::Replacing::kAnyLabels).candidate, nullptr);
  EXPECT_THROW(registry->set_trial("mood", {2, 0.5, false}), ValueError);
}

// Embeddings without labels, of as many numbers as the version says.
class Embedding : public FakeClassifier {
 public:
  explicit Embedding(int64_t size) : size_(size) {}
  const std::vector<std::string>& labels() const override { return none_; }
  nn::EmbeddingInfo embedding() const override { return {.size = size_, .pooling = "mean", .normalized = false}; }
  std::vector<nn::Prediction> predict_encoded(std::span<const nn::EncodedText> encodings) const override {
    const nn::Prediction one{.label = 0,
                             .scores = {},
                             .tokens = 1,
                             .truncated = false,
                             .embedding = std::vector<float>(static_cast<size_t>(size_), 1.F)};
    return std::vector<nn::Prediction>(encodings.size(), one);
  }

 private:
  int64_t size_;
  std::vector<std::string> none_;
};

TEST(EmbeddingTrial, NeedsEmbeddingsOfTheSameSize) {
  const TempFolder root;
  for (const char* version : {"4", "4096", "8"}) fs::create_directories(root.path() / "vectors" / version);
  fs::create_directories(root.path() / "vectors/9");
  // Version 9 has the size of version 8.
  Registry registry(root.path(), [](const fs::path& folder) {
    const int version = std::stoi(folder.filename());
    return std::make_shared<Embedding>(version == 9 ? 8 : version);
  });
  registry.load();
  registry.load("vectors", 8, Registry::Replacing::kAnyLabels);
  EXPECT_THROW(registry.set_trial("vectors", {4, 0.5, false}), ValueError);
  EXPECT_EQ(registry.find("vectors")->candidate, nullptr);
  registry.set_trial("vectors", {9, 0.5, false});
  EXPECT_NE(registry.find("vectors")->candidate, nullptr);
  registry.load("vectors", 4, Registry::Replacing::kAnyLabels);  // the trial's version cannot stand in for it
  EXPECT_EQ(registry.find("vectors")->candidate, nullptr);
}

TEST_F(TrialTest, AnInvalidTrialChangesNothing) {
  fs::create_directories(root.path() / "mood/3");
  std::ofstream(root.path() / "mood/3/broken");
  EXPECT_THROW(registry->set_trial("mood", {3, 0.5, false}), DataError);
  EXPECT_THROW(registry->set_trial("mood", {4, 0.5, false}), IndexError);
  EXPECT_THROW(registry->set_trial("mood", {1, 0.5, false}), ValueError);
  EXPECT_THROW(registry->set_trial("mood", {2, 0, false}), ValueError);
  EXPECT_THROW(registry->set_trial("mood", {2, 1.5, false}), ValueError);
  EXPECT_THROW(registry->set_trial("food", {2, 0.5, false}), IndexError);
  EXPECT_EQ(send("PUT", "/v1/admin/models/mood/trial", R"({"share":0.5})").status, 422);
  EXPECT_EQ(send("PUT", "/v1/admin/models/mood/trial", R"({"version":2,"share":"half"})").status, 422);
  EXPECT_EQ(registry->find("mood")->candidate, nullptr);
  EXPECT_EQ(ask(post(R"({"text":"b"})")).status, 200);
}

TEST(ShadowComparisonTest, ANanScoreDoesNotSpoilTheSum) {
  const auto statistics = std::make_shared<ModelStatistics>();
  ShadowComparison comparison(statistics);
  comparison.served({{0, {1, 0}, 1, false}, {0, {1, 0}, 1, false}});
  comparison.shadow({{0, {std::nanf(""), 0}, 1, false}, {0, {0.75F, 0.25F}, 1, false}});
  EXPECT_EQ(statistics->shadow_difference, 250000U);
  EXPECT_EQ(statistics->shadow_texts, 1U);
  EXPECT_EQ(statistics->shadow_dropped, 1U);
}

TEST(ShadowComparisonTest, KindsAgreeByWhatTheyAnswer) {
  const auto agreed = [](nn::Problem problem, const nn::Prediction& a, const nn::Prediction& b) {
    const auto statistics = std::make_shared<ModelStatistics>();
    ShadowComparison comparison(statistics, problem);
    comparison.served({a});
    comparison.shadow({b});
    EXPECT_EQ(statistics->shadow_texts, 1U);
    return statistics->shadow_agreed == 1;
  };
  nn::Prediction a{0, {0.9F, 0.8F}, 1, false}, b{1, {0.8F, 0.9F}, 1, false};
  a.labels = b.labels = {0, 1};
  EXPECT_TRUE(agreed(nn::Problem::multi_label, a, b)) << "the likeliest of the same labels is another";
  EXPECT_FALSE(agreed(nn::Problem::single_label, a, b));
  b.labels = {1};
  EXPECT_FALSE(agreed(nn::Problem::multi_label, a, b));
  nn::Prediction low{0, {-3e30F}, 1, false}, high{0, {3e30F}, 1, false};
  low.value = -3e30;
  high.value = 3e30;
  EXPECT_FALSE(agreed(nn::Problem::regression, low, high));
  EXPECT_TRUE(agreed(nn::Problem::regression, low, low));
}

TEST_F(TrialTest, AnExplicitVersionIsNotOnTrial) {
  registry->set_trial("mood", {2, 1, false});
  EXPECT_NE(ask(post(R"({"text":"b"})")).body.find(R"("version":"2")"), std::string::npos);
  const std::string body = R"({"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":["b"]}]})";
  EXPECT_NE(ask(post(body, "", "/v2/models/mood/versions/1/infer")).body.find(R"("model_version":"1")"),
            std::string::npos);
  EXPECT_NE(ask(post(body, "", "/v2/models/mood/infer")).body.find(R"("model_version":"2")"), std::string::npos);
}

}  // namespace
}  // namespace qing::serve
