// Connections of the service: framing guards, limits, deadlines, clients that leave, draining.
#include "serve/serve_fixture.h"

#include <sys/resource.h>

#include <chrono>
#include <thread>

namespace qing::serve {
namespace {

using std::chrono::milliseconds;

TEST_F(ServeTest, KeepsTheConnectionAndTakesPipelinedRequests) {
  start();
  RawClient client(server->port());
  client.send(post(R"({"text":"a"})") + get("/health/live") + post(R"({"text":"ab"})"));
  EXPECT_NE(client.receive().body.find("\"label\":\"neutral\""), std::string::npos);
  EXPECT_EQ(client.receive().body, R"({"status":"ok"})");
  EXPECT_NE(client.receive().body.find("\"label\":\"positive\""), std::string::npos);
  client.send("HEAD /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const RawResponse head = client.receive(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_FALSE(head.has("Content-Length: 0"));
  EXPECT_TRUE(client.closed());
}

TEST_F(ServeTest, TakesChunkedBodiesAndExpectContinue) {
  start();
  const std::string head = "POST /v1/models/mood/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
  EXPECT_EQ(ask(head + "Transfer-Encoding: chunked\r\n\r\n6\r\n{\"text\r\n6\r\n\":\"a\"}\r\n0\r\n\r\n").status, 200);
  RawClient client(server->port());
  client.send(head + "Content-Length: 12\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.receive().status, 100);
  client.send(R"({"text":"a"})");
  EXPECT_EQ(client.receive().status, 200);
}

TEST_F(ServeTest, RefusesAmbiguousFramingAndCloses) {
  start();
  const std::string line = "POST /v1/models/mood/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
  const std::string smuggled = "\r\n" + get("/health/live");
  for (const std::string& headers :
       {std::string("Transfer-Encoding: gzip\r\n"), std::string("Transfer-Encoding: gzip, chunked\r\n"),
        std::string("Transfer-Encoding: xchunked\r\n"),
        std::string("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        std::string("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        std::string("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        std::string("Content-Length: 0\r\nContent-Length: 0\r\n"),
        std::string("Content-Length: 0\r\nContent-Length: 4\r\n"), std::string("Content-Length: 0, 0\r\n"),
        std::string("Content-Length: -1\r\n"), std::string("Content-Length: +1\r\n"),
        std::string("Content-Length : 0\r\n"), std::string("X-A: b\nContent-Length: 0\r\n"),
        std::string("X-A: b\rc\r\n"), std::string("Host: y\r\n")}) {
    RawClient client(server->port());
    client.send(line + headers + smuggled);
    EXPECT_EQ(client.receive().status, 400) << headers;
    EXPECT_TRUE(client.closed()) << headers;
  }
  EXPECT_EQ(ask("GET /health/live HTTP/1.1\r\n\r\n").status, 400);
  EXPECT_EQ(ask("nonsense\r\n\r\n").status, 400);
}

TEST_F(ServeTest, HoldsItsLimits) {
  options.limits.header_bytes = 512;
  options.limits.body_bytes = 64;
  options.limits.request_time = milliseconds(150);
  start();
  EXPECT_EQ(ask(get("/health/live", "X-Long: " + std::string(2000, 'a') + "\r\n")).status, 431);
  EXPECT_EQ(ask(post(std::string(65, ' '))).status, 413);
  EXPECT_EQ(ask("POST /v1/models/mood/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                "Transfer-Encoding: chunked\r\n\r\n50\r\n" +
                std::string(80, ' ') + "\r\n0\r\n\r\n")
                .status,
            413);
  RawClient slow(server->port());
  // Sending bytes slowly does not extend the deadline.
  for (const char* part : {"GET /hea", "lth/live ", "HTTP/1.1\r\n", "Host:"}) {
    slow.send(part);
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(slow.receive().status, 408);
  EXPECT_TRUE(slow.closed());
}

TEST_F(ServeTest, TurnsAwayConnectionsOverTheLimit) {
  options.limits.connections = 1;
  start();
  RawClient first(server->port());
  first.send(get("/health/live"));
  EXPECT_EQ(first.receive().status, 200);
  RawClient second(server->port());
  const RawResponse response = second.receive();
  EXPECT_EQ(response.status, 503);
  EXPECT_TRUE(response.has("Retry-After: 1\r\n"));
  EXPECT_TRUE(second.closed());
  first.send(get("/metrics"));
  const std::string metrics = first.receive().body;
  for (const char* line : {"connections_accepted_total 2", "connections_turned_away_total 1"}) {
    EXPECT_NE(metrics.find(fmt::format("\nqing_{}\n", line)), std::string::npos) << metrics;
  }
}

TEST_F(ServeTest, CountsOpenConnectionsAndThoseCut) {
  options.limits.request_time = milliseconds(50);
  start();
  RawClient slow(server->port());
  slow.send("GET /health/live HT");
  EXPECT_EQ(slow.receive().status, 408);
  RawClient other(server->port());
  other.send(get("/metrics"));
  const std::string metrics = other.receive().body;
  EXPECT_NE(metrics.find("\nqing_connections_timed_out_total 1\n"), std::string::npos) << metrics;
  EXPECT_EQ(metrics.find("\nqing_connections_open 0\n"), std::string::npos);
}

// The bytes waiting to be written are just below the limit where reading stops. The 100 Continue for a body that has
// already arrived exceeds it.
TEST_F(ServeTest, AContinueResponseAtTheReadLimitDoesNotStopReading) {
  start();
  const std::string tail = "Expect: 100-continue\r\n";
  const auto live = [](size_t id) {
    return get("/health/live", fmt::format("X-Request-Id: {}\r\n", std::string(id, 'a')));
  };
  RawClient measure(server->port());
  measure.send(live(1));
  const RawResponse one = measure.receive();
  const size_t size = one.head.size() + 2 + one.body.size();
  const size_t wanted = 64 * 1024 - 10, count = wanted / size, left = wanted - count * size;
  std::string all;
  for (size_t i = 0; i < count; ++i) {
    const size_t extra = left / count + (i < left % count ? 1 : 0);
    all += live(1 + extra);
  }
  RawClient client(server->port());
  client.send(all + post(R"({"text":"a"})", tail));
  for (size_t i = 0; i < count; ++i) ASSERT_EQ(client.receive().status, 200);
  EXPECT_EQ(client.receive().status, 100);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, options.limits.request_time / 2);
}

TEST_F(ServeTest, AnswersLateRequestsWith504) {
  options.limits.predict_time = milliseconds(50);
  start();
  classifier->hold();
  RawClient busy(server->port());
  busy.send(post(R"({"text":"a"})"));
  classifier->wait_for_batches(1);
  RawClient late(server->port());
  late.send(post(R"({"text":"b"})"));
  // The answer does not wait for the model, which might hang.
  EXPECT_EQ(busy.receive().status, 504);
  EXPECT_EQ(late.receive().status, 504);
  classifier->release();
  EXPECT_EQ(ask(post(R"({"text":"c"})")).status, 200);
  // Every sent response counts, whoever produced it.
  EXPECT_EQ(ask("GET /health/live HTTP/3.0\r\nHost: x\r\n\r\n").status, 505);
  const std::string metrics = ask(get("/metrics")).body;
  const std::string route = "\nqing_requests_total{route=\"/v1/models/{name}/predict\",status=";
  EXPECT_NE(metrics.find(route + "\"504\"} 2\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find(route + "\"200\"} 1\n"), std::string::npos);
  EXPECT_EQ(metrics.find(route + "\"503\"}"), std::string::npos);
  EXPECT_NE(metrics.find("\nqing_requests_total{route=\"none\",status=\"505\"} 1\n"), std::string::npos);
}

TEST_F(ServeTest, HonoursTheClientsDeadline) {
  start();
  classifier->hold();
  RawClient busy(server->port());
  busy.send(post(R"({"text":"a"})", "Request-Timeout: 0.05\r\n"));
  EXPECT_EQ(busy.receive().status, 504);
  classifier->release();
}

TEST_F(ServeTest, DropsTheWorkOfAClientThatLeft) {
  start();
  classifier->hold();
  RawClient busy(server->port());
  busy.send(post(R"({"text":"a"})"));
  classifier->wait_for_batches(1);
  {
    RawClient gone(server->port());
    gone.send(post(R"({"text":"gone"})"));
    gone.reset();
  }
  std::this_thread::sleep_for(milliseconds(100));
  classifier->release();
  EXPECT_EQ(busy.receive().status, 200);
  EXPECT_EQ(ask(post(R"({"text":"b"})")).status, 200);
  EXPECT_EQ(classifier->batches(), (std::vector<std::vector<std::string>>{{"a"}, {"b"}}));
}

// RFC 9112, 9.6: a client that ends its sending direction may still want its answer.
TEST_F(ServeTest, AnswersAClientThatEndedItsSendingDirection) {
  start();
  classifier->hold();
  RawClient ended(server->port()), gone(server->port());
  ended.send(post(R"({"text":"a"})") + post(R"({"text":"ab"})") + get("/health/live"));
  ended.end();
  classifier->wait_for_batches(1);
  gone.send(post(R"({"text":"gone"})"));
  gone.end();
  std::this_thread::sleep_for(milliseconds(50));
  gone.reset();  // the client has left only after this reset
  // A socket at its end is always readable, so waiting for input would keep the I/O thread busy.
  const auto busy = [] {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + 1e-6 * (used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  };
  const double before = busy();
  std::this_thread::sleep_for(milliseconds(400));
  EXPECT_LT(busy() - before, 0.1);
  classifier->release();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ended.receive().status, 200);
  EXPECT_TRUE(ended.closed());
  EXPECT_EQ(classifier->batches(), (std::vector<std::vector<std::string>>{{"a"}, {"ab"}}));
}

TEST_F(ServeTest, IsStrictAboutHeaders) {
  start();
  const auto status_of = [this](const std::string& request) { return ask(request).status; };
  EXPECT_EQ(status_of("GET /health/live HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /health/live HTTP/2.0\r\nHost: x\r\n\r\n"), 505);
  EXPECT_EQ(status_of("GET /health/live HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET health/live HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(status_of(get("/health/live", "Expect: cake\r\n")), 417);
  EXPECT_EQ(status_of("\r\n" + get("/health/live")), 200);
  EXPECT_EQ(status_of("GET http://x/health/live?a HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
  EXPECT_EQ(status_of("GET /health/live HTTP/1.0\r\n\r\n"), 200);
  std::string many;
  for (int i = 0; i < 101; ++i) many += "A: b\r\n";
  EXPECT_EQ(status_of(get("/health/live", many)), 431);
}

TEST_F(ServeTest, DrainAnswersWhatIsInFlight) {
  start();
  classifier->hold();
  const std::uint16_t port = server->port();
  RawClient idle(port);
  idle.send(get("/health/live"));
  EXPECT_EQ(idle.receive().status, 200);
  RawClient half(port);
  half.send("GET /health/ready HTTP/1.1\r\n");
  RawClient busy(port);
  busy.send(post(R"({"text":"a"})"));
  classifier->wait_for_batches(1);
  std::thread stopping([this] { server->stop(); });
  EXPECT_TRUE(idle.closed());
  half.send("Host: x\r\n\r\n");
  EXPECT_EQ(half.receive().status, 503);
  EXPECT_FALSE(RawClient(port).connected());
  classifier->release();
  const RawResponse response = busy.receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.has("Connection: close"));
  stopping.join();
  server->wait();
}

TEST_F(ServeTest, DrainDelayAnswersEveryRequestAsTheLastOfItsConnection) {
  options.limits.drain_delay = std::chrono::seconds(2);
  start();
  const std::uint16_t port = server->port();
  RawClient kept(port), silent(port);
  for (RawClient* client : {&kept, &silent}) {
    client->send(get("/health/ready"));
    const RawResponse before = client->receive();
    EXPECT_EQ(before.status, 200);
    EXPECT_FALSE(before.has("Connection: close"));
  }
  std::thread stopping([this] { server->stop(); });
  while (ask(get("/health/ready")).status == 200) std::this_thread::sleep_for(milliseconds(5));
  // The listener answers, and so do connections from before.
  const RawResponse fresh = ask(post(R"({"text":"a"})"));
  EXPECT_EQ(fresh.status, 200);
  EXPECT_TRUE(fresh.has("Connection: close"));
  EXPECT_EQ(ask(get("/health/ready")).status, 503);
  EXPECT_EQ(ask(get("/health/live")).status, 200);
  kept.send(post(R"({"text":"a"})"));
  const RawResponse last = kept.receive();
  EXPECT_EQ(last.status, 200);
  EXPECT_TRUE(last.has("Connection: close"));
  EXPECT_TRUE(kept.closed());
  EXPECT_TRUE(silent.closed()) << "an idle connection ends after the delay";
  stopping.join();
  EXPECT_FALSE(RawClient(port).connected());
}

TEST_F(ServeTest, DrainAnswersConnectionsThatWaitToBeAccepted) {
  options.limits.linger_time = std::chrono::seconds(5);
  start();
  classifier->hold();
  RawClient busy(server->port());  // keeps the server from ending
  busy.send(post(R"({"text":"a"})"));
  classifier->wait_for_batches(1);
  RawClient young(server->port());  // has not sent its first request yet
  ASSERT_TRUE(young.connected());
  std::thread stopping([this] { server->stop(); });
  while (RawClient(server->port()).connected()) std::this_thread::sleep_for(milliseconds(5));
  young.send(get("/health/live"));
  EXPECT_EQ(young.receive().status, 200);
  classifier->release();
  EXPECT_EQ(busy.receive().status, 200);
  stopping.join();
}

TEST_F(ServeTest, DrainClosesConnectionsThatDoNotEnd) {
  options.limits.drain_time = milliseconds(100);
  start();
  RawClient half(server->port());
  half.send("GET /health");
  std::this_thread::sleep_for(milliseconds(50));
  const auto begin = std::chrono::steady_clock::now();
  server->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  EXPECT_TRUE(half.closed());
}

}  // namespace
}  // namespace qing::serve
