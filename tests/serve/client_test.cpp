// The C++ client with a server, and the description of the server's routes.
#include <qing/serve/client.h>

#include <atomic>
#include <thread>

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

TEST_F(ClientTest, ReportsRefusalsOfTheService) {
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

TEST_F(ClientTest, RetriesWhenTheServiceIsBusy) {
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
  // The request was sent once, because the answer was already being computed.
  EXPECT_NE(ask(get("/metrics")).body.find("\nqing_model_requests_total{model=\"mood\"} 1\n"), std::string::npos);
  const std::uint16_t port = server->port();
  server->stop();
  EXPECT_THROW(Client({.port = port, .max_retries = 0}).predict("mood", texts), IoError);
}

// Returns what the client makes of a program that answers every connection with the same bytes: a label or an error.
class Impostor {
 public:
  explicit Impostor(std::string answer) : answer_(std::move(answer)), fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd_, 8) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw IoError("Impostor: no port");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { answer_all(); });
  }
  ~Impostor() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  Emotion emotion() const {
    const std::vector<std::string> texts = {"a"};
    return Client({.port = port_, .timeout = std::chrono::seconds(5), .max_retries = 1}).predict("mood", texts)[0];
  }
  std::string label() const {
    try {
      return emotion().label;
    } catch (const IoError& error) { return error.what(); }
  }
  int asked() const { return asked_; }

 private:
  void answer_all() {
    for (int client = 0; (client = ::accept(fd_, nullptr, nullptr)) >= 0; ::close(client)) {
      ++asked_;
      std::string request(4096, '\0');
      if (::recv(client, request.data(), request.size(), 0) <= 0) continue;
      if (::send(client, answer_.data(), answer_.size(), MSG_NOSIGNAL) < 0) continue;
      ::shutdown(client, SHUT_WR);
      while (::recv(client, request.data(), request.size(), 0) > 0) {}
    }
  }
  const std::string answer_;
  int fd_;
  std::uint16_t port_ = 0;
  std::atomic<int> asked_ = 0;
  std::thread thread_;
};

TEST(Client, TellsWhichTextsAreBlank) {
  const auto emotion = [](const std::string& mark) {
    const std::string body =
        R"({"predictions":[{"label":"fine","score":0.5,"scores":{"fine":0.5},"truncated":false)" + mark + "}]}";
    return Impostor(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body)).emotion();
  };
  EXPECT_TRUE(emotion(R"(,"blank":true)").blank);
  EXPECT_FALSE(emotion("").blank);
  EXPECT_THROW(emotion(R"(,"blank":"yes")"), IoError);
}

// Two programs in a chain must not read the framing of an answer differently.
TEST(Client, RefusesAnAnswerWithAmbiguousFraming) {
  const std::string body = R"({"predictions":[{"label":"fine","score":0.5,"scores":{"fine":0.5},"truncated":false}]})";
  const std::string chunk = fmt::format("{:x}", body.size());
  const auto answer = [](const std::string& fields, const std::string& content) {
    return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + content;
  };
  const auto label = [&](const std::string& fields, const std::string& content) {
    return Impostor(answer(fields, content)).label();
  };
  const std::string coding = "Transfer-Encoding: chunked\r\n", chunks = chunk + "\r\n" + body + "\r\n0\r\n\r\n";
  const std::string length = fmt::format("Content-Length: {}\r\n", body.size());
  EXPECT_EQ(label(length, body), "fine");
  EXPECT_EQ(label(coding, chunks), "fine");
  // The header may have up to 16 KiB, twice Beast's default.
  EXPECT_EQ(label("A: " + std::string(10'000, 'a') + "\r\n" + length, body), "fine");
  // A user agent reads other folded fields as if there were spaces (RFC 9112, 5.2).
  EXPECT_EQ(label("Server: a\r\n b\r\n" + length, body), "fine");
  EXPECT_EQ(label(coding, chunk + " ; a=\"\t;\\\"\"\r\n" + body + "\r\n0\r\nA: b\r\n\r\n"), "fine");
  EXPECT_EQ(
      Impostor("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + answer(length, body)).label(),
      "fine");
  for (const auto& [fields, content] :
       std::vector<std::pair<std::string, std::string>>{{"Transfer-Encoding:\r\n chunked\r\n", chunks},
                                                        {"A: b\r\nTransfer-Encoding:\r\n\tchunked\r\n", chunks},
                                                        {"Transfer-Encoding: chunked\r\n \r\n", chunks},
                                                        {fmt::format("Content-Length:\r\n {}\r\n", body.size()), body},
                                                        {"A: b\n" + length, body},
                                                        {"A: b\n" + coding, chunks},
                                                        {"A: b\rc\r\n" + length, body},
                                                        {"A: b\x01\r\n" + length, body},
                                                        {length + coding, chunks},
                                                        {length + "Content-Length: 1\r\n", body},
                                                        {coding, chunk + ";a=\"\x01\"\r\n" + body + "\r\n0\r\n\r\n"},
                                                        {coding, chunk + ";a=\"\n\"\r\n" + body + "\r\n0\r\n\r\n"},
                                                        {coding, chunk + "\x01\r\n" + body + "\r\n0\r\n\r\n"},
                                                        {coding, chunk + "\r\n" + body + "\r\n0;a=\"\x7f\"\r\n\r\n"},
                                                        {"A: " + std::string(17'000, 'a') + "\r\n" + length, body}}) {
    const Impostor impostor(answer(fields, content));
    const std::string said = impostor.label();
    EXPECT_NE(said.find("check that a qing service runs there"), std::string::npos)
        << said << " for " << fields.substr(0, 60) << content.substr(0, 20);
    EXPECT_EQ(impostor.asked(), 1) << "asked again: " << said;
  }
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
