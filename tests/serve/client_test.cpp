// The C++ client against a server, and the description of the server's routes.
#include <qing/serve/client.h>

#include "serve/serve_fixture.h"

#include <qing/serve/api.h>
#include <qing/serve/protocols/openapi.h>

namespace qing::serve {
namespace {

class ClientTest : public ServeTest {
 protected:
  Client client(ClientOptions with = {}) {
    with.port = server->port();
    return Client(with);
  }
};

TEST_F(ClientTest, PredictsInOrderAndInBatches) {
  start();
  const std::vector<std::string> texts = {"abc", "a", "ab", "情", ""};
  const std::vector<Emotion> emotions = client({.batch_size = 2}).predict("mood", texts);
  std::vector<std::string> labels;
  for (const Emotion& emotion : emotions) labels.push_back(emotion.label);
  EXPECT_EQ(labels, (std::vector<std::string>{"negative", "neutral", "positive", "negative", "negative"}));
  EXPECT_EQ(emotions[0].score, 0.5F);
  EXPECT_EQ(emotions[0].scores,
            (std::map<std::string, float>{{"negative", 0.5F}, {"neutral", 0.25F}, {"positive", 0.25F}}));
  EXPECT_TRUE(client().predict("mood", {}).empty());
}

TEST_F(ClientTest, TellsWhatTheServiceRefuses) {
  start();
  const std::vector<std::string> texts = {"a"};
  try {
    client().predict("other", texts);
    FAIL();
  } catch (const ServiceError& error) {
    EXPECT_EQ(error.status(), 404);
    EXPECT_EQ(error.code(), "unknown_model");
  }
  EXPECT_THROW(client().predict("../mood", texts), ValueError);
  EXPECT_THROW(Client({.api_key = "a\r\nX: y"}), ValueError);
  EXPECT_THROW(Client({.batch_size = 0}), ValueError);
}

TEST_F(ClientTest, TriesAgainWhenTheServiceIsBusy) {
  server = std::make_unique<Server>(options, registry);  // no model yet: 503, Retry-After: 1
  server->start();
  const std::vector<std::string> texts = {"a"};
  EXPECT_THROW(client({.max_retries = 0}).predict("mood", texts), ServiceError);
  std::jthread later([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    registry->add("mood", 2, classifier);
  });
  EXPECT_EQ(client({.max_retries = 1}).predict("mood", texts).front().label, "neutral");
}

TEST_F(ClientTest, GivesUpInTime) {
  start();
  const std::vector<std::string> texts = {"a"};
  classifier->hold();
  EXPECT_THROW(client({.timeout = std::chrono::milliseconds(50), .max_retries = 3}).predict("mood", texts), IoError);
  classifier->release();
  // Asked once: the answer was on its way.
  EXPECT_NE(ask(get("/metrics")).body.find("\nqing_model_requests_total{model=\"mood\"} 1\n"), std::string::npos);
  const std::uint16_t port = server->port();
  server->stop();
  EXPECT_THROW(Client({.port = port, .max_retries = 0}).predict("mood", texts), IoError);
}

TEST_F(ClientTest, TheDescriptionHoldsEveryRoute) {
  start();
  Batcher batcher{Limits{}};
  const Api api(registry, batcher, nullptr, Limits{});
  const std::string document = ask(get("/openapi.json")).body;
  EXPECT_EQ(document, openapi_json(api.routes()));
  EXPECT_GT(api.routes().size(), 20U);
  for (const Route& route : api.routes()) {
    EXPECT_NE(document.find("\"" + std::string(route.pattern) + "\":{"), std::string::npos) << route.pattern;
    EXPECT_FALSE(route.operation.summary.empty()) << route.pattern;
  }
}

}  // namespace
}  // namespace qing::serve
