// Limits of one model: they are read with the model, can only lower the server's limits, and do not affect other
// models.
#include "serve/serve_fixture.h"

#include <chrono>
#include <filesystem>

#include <qing/serve/registry/model_limits.h>

#include "nn/temp_folder.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using test::TempFolder;

TEST(ModelLimits, TheLowerOneCounts) {
  const TempFolder folder;
  const ModelLimits none = ModelLimits::read(folder.path() / "limits.json");
  const Limits server;
  EXPECT_EQ(none.within(server).texts, server.texts);
  EXPECT_EQ(none.within(server).predict_time, server.predict_time);
  const ModelLimits own = ModelLimits::read(folder.write(
      "limits.json", R"({"texts":5,"explained_texts":1,"text_bytes":99999999,"queue_texts":7,"queue_tokens":8,
                         "predict_time":0.25})"));
  const Limits both = own.within(server);
  EXPECT_EQ(both.texts, 5U);
  EXPECT_EQ(both.explained_texts, 1U);
  EXPECT_EQ(both.text_bytes, server.text_bytes);
  EXPECT_EQ(both.queue_texts, 7U);
  EXPECT_EQ(both.queue_tokens, 8U);
  EXPECT_EQ(both.predict_time, milliseconds(250));
  EXPECT_EQ(both.body_bytes, server.body_bytes);
}

TEST(ModelLimits, NamesTheInvalidField) {
  const TempFolder folder;
  const auto error_of = [&](std::string_view text) -> std::string {
    try {
      ModelLimits::read(folder.write("limits.json", text));
    } catch (const DataError& error) { return error.what(); }
    return "";
  };
  EXPECT_NE(error_of("[1]").find("limits.json: not a JSON object"), std::string::npos);
  EXPECT_NE(error_of("{\"texts\":").find("limits.json: is not JSON"), std::string::npos);
  EXPECT_NE(error_of(R"({"texts":5,"texts":6})").find("'texts' appears twice"), std::string::npos);
  EXPECT_EQ(error_of("\xEF\xBB\xBF{\"texts\":5}"), "");
  EXPECT_NE(error_of(R"({"text":5})").find("text: no such limit"), std::string::npos);
  for (const char* bad : {"0", "-1", "1.5", "\"5\"", "null"}) {
    EXPECT_NE(error_of(fmt::format(R"({{"queue_texts":{}}})", bad)).find("queue_texts: must be"), std::string::npos)
        << bad;
  }
  for (const char* bad : {"0", "-1", "1e9", "\"5\"", "null"}) {
    EXPECT_NE(error_of(fmt::format(R"({{"predict_time":{}}})", bad)).find("predict_time: must be"), std::string::npos)
        << bad;
  }
}

// Two models, "small" with limits, "large" without.
class LimitedModels : public ServeTest {
 protected:
  LimitedModels() {
    fs::create_directories(root.path() / "small/1");
    fs::create_directories(root.path() / "large/1");
    root.write("small/limits.json", R"({"texts":3,"text_bytes":10,"queue_texts":4})");
    registry = std::make_shared<Registry>(root.path(), [this](const fs::path& folder) {
      return folder.parent_path().filename() == "small" ? small : classifier;
    });
    registry->load();
    options.limits.compute_workers = 2;
    server = std::make_unique<Server>(options, registry);
    server->start();
  }
  void TearDown() override {
    small->release();
    ServeTest::TearDown();
  }
  RawResponse predict(std::string_view model, std::string_view texts) {
    return ask(post(fmt::format(R"({{"texts":[{}]}})", texts), "", fmt::format("/v1/models/{}/predict", model)));
  }

  TempFolder root;
  std::shared_ptr<FakeClassifier> small = std::make_shared<FakeClassifier>();
};

TEST_F(LimitedModels, RequestsAreHeldToTheirModels) {
  EXPECT_EQ(predict("small", R"("a","b","c")").status, 200);
  const RawResponse many = predict("small", R"("a","b","c","d")");
  EXPECT_EQ(many.status, 422);
  EXPECT_NE(many.body.find("limit of 3"), std::string::npos) << many.body;
  EXPECT_EQ(predict("small", R"("twelve bytes")").status, 422);
  EXPECT_EQ(predict("large", R"("a","b","c","twelve bytes")").status, 200);
  const std::string four = R"(["a","b","c","d"])";
  const auto with = [&](std::string_view path, std::string_view field) {
    return ask(post(fmt::format(R"({{"{}":{}}})", field, four), "", path)).status;
  };
  EXPECT_EQ(with("/v1/models/small:predict", "instances"), 422);
  EXPECT_EQ(with("/models/small", "inputs"), 422);
  EXPECT_EQ(with("/models/large", "inputs"), 200);
  const std::string tensor = R"({"inputs":[{"name":"text","datatype":"BYTES","shape":[4],"data":)" + four + "}]}";
  EXPECT_EQ(ask(post(tensor, "", "/v2/models/small/infer")).status, 422);
  EXPECT_EQ(ask(post(tensor, "", "/v2/models/large/infer")).status, 200);
}

TEST_F(LimitedModels, AFullQueueAffectsOnlyItsModel) {
  const size_t before = small->batches().size();  // batches of the warm-up
  small->hold();
  RawClient computing(server->port()), waiting(server->port());
  const std::string path = "/v1/models/small/predict";
  computing.send(post(R"({"texts":["a"]})", "", path));
  small->wait_for_batches(before + 1);
  RawClient second(server->port());
  second.send(post(R"({"texts":["b"]})", "", path));  // the other worker's
  small->wait_for_batches(before + 2);
  waiting.send(post(R"({"texts":["d","e","f"]})", "", path));
  EXPECT_EQ(ask(get("/v1/models")).status, 200);  // its answer shows that the previous request has been queued, too
  const RawResponse refused = predict("small", R"("g","h")");
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(refused.body.find("limit of 4 waiting texts"), std::string::npos) << refused.body;
  small->release();
  EXPECT_EQ(computing.receive().status, 200);
  EXPECT_EQ(second.receive().status, 200);
  EXPECT_EQ(waiting.receive().status, 200);
  EXPECT_EQ(predict("large", R"("a")").status, 200);
}

// The running request is late too, not only the waiting one.
TEST_F(LimitedModels, ADeadlineAffectsOnlyItsModel) {
  root.write("small/limits.json", R"({"predict_time":0.05})");
  ASSERT_EQ(ask("POST /v1/admin/rescan HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").status, 200);
  small->hold();
  const RawResponse late = predict("small", R"("a")");
  EXPECT_EQ(late.status, 504) << late.body;
  EXPECT_EQ(predict("large", R"("a")").status, 200);
  small->release();
}

TEST_F(LimitedModels, LimitsAreReadAgainAndBrokenOnesReplaceNothing) {
  const auto status_of_four = [&] { return predict("small", R"("a","b","c","d")").status; };
  const auto rescan = [&] {
    return ask("POST /v1/admin/rescan HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").status;
  };
  root.write("small/limits.json", R"({"texts":"many"})");
  EXPECT_EQ(rescan(), 200);
  EXPECT_EQ(status_of_four(), 422);
  EXPECT_NE(ask(get("/v1/models/small")).body.find("texts: must be"), std::string::npos);
  root.write("small/limits.json", R"({"texts":4})");
  EXPECT_EQ(rescan(), 200);
  EXPECT_EQ(status_of_four(), 200);
  EXPECT_EQ(ask(get("/v1/models/small")).body.find("error"), std::string::npos);
  fs::remove(root.path() / "small/limits.json");
  EXPECT_EQ(rescan(), 200);
  EXPECT_EQ(predict("small", R"("twelve bytes")").status, 200);
}

}  // namespace
}  // namespace qing::serve
