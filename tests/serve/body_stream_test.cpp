// Responses in pieces: chunks, clients of HTTP/1.0, clients that leave or do not read, a server that stops.
#include <chrono>
#include <memory>
#include <thread>

#include <qing/serve/http/body_stream.h>
#include <qing/serve/http/router.h>
#include <qing/serve/http/transport.h>

#include "serve/serve_fixture.h"

namespace qing::serve {
namespace {

// Answers every request with the stream of the test.
class Streams : public HttpHandler {
 public:
  Routed route(const HttpHead&) override {
    Routed routed;
    HttpResponse response;
    response.content_type = "text/plain";
    response.body = "first,";
    response.stream = stream;
    routed.run = answer(response);
    return routed;
  }
  void answered(const Routed&, int, std::chrono::steady_clock::duration) override {}

  std::shared_ptr<BodyStream> stream = std::make_shared<BodyStream>();
};

class BodyStreamTest : public ::testing::Test {
 protected:
  BodyStreamTest() {
    limits.idle_time = limits.predict_time = limits.write_time = std::chrono::milliseconds(300);
    start();
  }
  void start() {
    transport =
        std::make_unique<HttpTransport>(handler, statistics.connections, limits, RequestLogOptions{.lines = false});
    transport->listen("127.0.0.1", 0);
  }
  // All bytes after the head, until the server closes.
  static std::string rest(RawClient& client) {
    std::string all;
    for (char byte = 0; client.take(byte);) all += byte;
    return all;
  }
  bool closes_soon() {
    for (int i = 0; i < 500 && !handler.stream->closed(); ++i) {
      handler.stream->write("more");
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return handler.stream->closed();
  }

  Limits limits;
  Statistics statistics;
  Streams handler;
  std::unique_ptr<HttpTransport> transport;
};

TEST_F(BodyStreamTest, PiecesAreChunksAndNoDeadlineEndsThem) {
  RawClient client(transport->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const RawResponse head = client.receive();
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.has("Transfer-Encoding: chunked"));
  EXPECT_FALSE(head.has("Content-Length"));
  std::this_thread::sleep_for(std::chrono::milliseconds(900));  // more than every limit
  EXPECT_FALSE(handler.stream->closed());
  handler.stream->write("second");
  handler.stream->end();
  handler.stream->write("dropped");
  EXPECT_EQ(rest(client), "6\r\nfirst,\r\n6\r\nsecond\r\n0\r\n\r\n");
}

TEST_F(BodyStreamTest, TheConnectionGoesOnAfterTheStream) {
  handler.stream->end();
  RawClient client(transport->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = rest(client);
  EXPECT_EQ(all.find("HTTP/1.1 200"), 0U);
  EXPECT_NE(all.find("HTTP/1.1 200", 1), std::string::npos) << all;
}

TEST_F(BodyStreamTest, AnOldClientReadsToTheEndOfTheConnection) {
  RawClient client(transport->port());
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_FALSE(client.receive().has("Transfer-Encoding"));
  handler.stream->write("second");
  handler.stream->end();
  EXPECT_EQ(rest(client), "first,second");
}

TEST_F(BodyStreamTest, AHeadHasNoBody) {
  RawClient client(transport->port());
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(client.receive(true).has("Transfer-Encoding: chunked"));
  EXPECT_EQ(rest(client), "");
  EXPECT_TRUE(handler.stream->closed());
}

TEST_F(BodyStreamTest, TheWriterSeesThatTheClientHasLeft) {
  {
    RawClient client(transport->port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.receive().status, 200);
    EXPECT_FALSE(handler.stream->closed());
  }
  EXPECT_TRUE(closes_soon());
}

TEST_F(BodyStreamTest, AClientThatDoesNotReadIsCutOff) {
  RawClient client(transport->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
  const std::string much(BodyStream::kMostBytes / 4, 'x');
  for (int i = 0; i < 200 && !handler.stream->closed(); ++i) {
    handler.stream->write(much);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(handler.stream->closed());
}

// A piece may be larger than what the system buffers of a connection, and than what a client may leave unread.
TEST_F(BodyStreamTest, ALargePieceArrivesWhole) {
  limits.write_time = limits.idle_time = std::chrono::seconds(30);
  start();
  RawClient client(transport->port());
  client.send("GET / HTTP/1.0\r\n\r\n");
  client.receive();
  const std::string large(8 * BodyStream::kMostBytes, 'x');
  handler.stream->write(large);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the client begins to read late
  handler.stream->write("last");
  handler.stream->end();
  EXPECT_EQ(rest(client).size(), sizeof "first," - 1 + large.size() + sizeof "last" - 1);
}

// A route may make a stream of what the request holds, which therefore counts until the end of the stream.
TEST_F(BodyStreamTest, TheBodyOfARequestCountsUntilItsStreamEnds) {
  limits.bodies_bytes = 100;
  start();
  const std::string request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 80\r\n\r\n" + std::string(80, 'x');
  RawClient first(transport->port());
  first.send(request);
  EXPECT_EQ(first.receive().status, 200);
  RawClient second(transport->port());
  second.send(request);
  EXPECT_EQ(second.receive().status, 503);
  handler.stream->end();
  int status = 503;
  for (int i = 0; i < 500 && status == 503; ++i) {
    RawClient later(transport->port());
    later.send(request);
    status = later.receive().status;
  }
  EXPECT_EQ(status, 200);
}

TEST_F(BodyStreamTest, AServerThatStopsWaitsForAStreamThatEnds) {
  handler.stream = std::make_shared<BodyStream>("cut off");
  RawClient client(transport->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
  std::thread stop([this] { transport->drain(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(handler.stream->closed());
  handler.stream->write("second");
  handler.stream->end();
  EXPECT_EQ(rest(client), "6\r\nfirst,\r\n6\r\nsecond\r\n0\r\n\r\n");
  stop.join();
}

TEST_F(BodyStreamTest, AStreamThatEndsTooLateSaysThatItIsCutOff) {
  limits.drain_time = std::chrono::milliseconds(300);
  start();
  handler.stream = std::make_shared<BodyStream>("cut off");
  RawClient client(transport->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
  transport->drain();
  EXPECT_TRUE(handler.stream->closed());
  EXPECT_EQ(rest(client), "6\r\nfirst,\r\n7\r\ncut off\r\n0\r\n\r\n");
}

TEST_F(BodyStreamTest, AServerThatStopsEndsTheStream) {
  RawClient client(transport->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
  transport->drain();
  EXPECT_TRUE(handler.stream->closed());
  EXPECT_TRUE(rest(client).ends_with("0\r\n\r\n"));
  handler.stream->write("late");
}

}  // namespace
}  // namespace qing::serve
