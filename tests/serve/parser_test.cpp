// The parser of requests without a socket: splitting the bytes does not change their meaning.
#include <qing/serve/http/parser.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <qing/serve/http/lines.h>

namespace qing::serve {
namespace {

// The body, or the status of the refusal, or "waits".
std::string read(std::string_view bytes, size_t piece, const Limits& limits = {}) {
  HttpParser parser(limits);
  std::string input;
  while (!bytes.empty()) {
    input.append(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (bool more = true; more && !parser.done();) {
      const HttpParser::Step step = parser.feed(input);
      if (step.refusal) return std::to_string(step.refusal->status);
      input.erase(0, step.consumed);
      more = step.consumed > 0 && !input.empty();
    }
  }
  return parser.done() ? parser.take_body() : "waits";
}

std::string chunked(std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body);
}

TEST(HttpParser, ReadsChunksAsTheyAreCut) {
  const std::string plain = chunked("3;a=\"\\\"\t\"\r\nabc\r\nA ; b = c\r\n0123456789\r\n00\r\nX: y\r\n\r\n");
  for (size_t piece = 1; piece <= plain.size(); ++piece) EXPECT_EQ(read(plain, piece), "abc0123456789") << piece;
}

// Each byte in turn is replaced by each byte with a special meaning in lines.
TEST(HttpParser, RefusesOrReadsTheSameHoweverTheBytesAreCut) {
  const std::string plain = chunked("3;a=\"\\\\b\"\r\nabc\r\n0;c=d\r\nX: y\r\n\r\n");
  size_t refused = 0;
  for (size_t at = 0; at < plain.size(); ++at) {
    for (const char byte : std::string_view("\0\t\n\r \";=\\:0a\x7f\xff", 14)) {
      std::string changed = plain;
      changed[at] = byte;
      const std::string whole = read(changed, changed.size());
      refused += whole == "400";
      for (const size_t piece : {size_t{1}, size_t{2}, size_t{7}}) {
        EXPECT_EQ(read(changed, piece), whole) << "byte " << at << " is " << int(byte) << ", cut every " << piece;
      }
    }
  }
  EXPECT_GT(refused, 300U);
}

TEST(HttpParser, RefusesAtOnceWhatCanNeverBecomeAChunk) {
  for (const std::string_view begin : {"3;a=\"\r\n", "3;a=\"b\x01", "3\n", "3\r3", "g\r\n", "\r\n", " 3\r\n", "3 \r\n",
                                       "3\r\nabcd", "0\r\n\n", "0\r\n X", "0\r\nX: y\r\n z", "0;a=\"\\\r\n", "3\x7f"}) {
    EXPECT_EQ(read(chunked(begin), 1), "400") << begin;
    EXPECT_EQ(read(chunked(begin), 100), "400") << begin;
  }
  for (const std::string_view begin : {"3;a=\"", "3\r", "3\r\nabc\r", "0\r\n", "0\r\nX: y\r\n", "0\r\n\r"}) {
    EXPECT_EQ(read(chunked(begin), 1), "waits") << begin;
  }
}

TEST(HttpParser, HoldsTheLimitsOfChunkLines) {
  const Limits limits{.header_bytes = 256, .body_bytes = 1000};
  const std::string extension = "3;a=" + std::string(300, 'b') + "\r\nabc\r\n0\r\n\r\n";
  const std::string trailers = "0\r\n" + [] {
    std::string many;
    for (int i = 0; i < 60; ++i) many += "A: b\r\n";
    return many + "\r\n";
  }();
  for (const size_t piece : {size_t{1}, size_t{64}, size_t{100'000}}) {
    EXPECT_EQ(read(chunked(extension), piece, limits), "431");
    EXPECT_EQ(read(chunked(trailers), piece, limits), "431");
    EXPECT_EQ(read(chunked("3e9\r\n"), piece, limits), "413");
    EXPECT_EQ(read(chunked("10000000000000000\r\n"), piece, limits), "400");
  }
}

// RFC 9112, 7.1.1, and RFC 9110, 5.6.4.
TEST(HttpLines, ChunkExtensions) {
  for (const std::string_view good : {"", ";a", ";a=b", " ; a = b", "\t;a=\"\";b", ";a=\"\\\"\\\\\t \xe6\"", ";a ;b"}) {
    EXPECT_EQ(chunk_extensions_fault(good), "") << good;
  }
  for (const std::string_view bad :
       {" ",       ";",         "a",         ";a=",         ";a=;b",     ";a b",      ";a=b c",      ";a=\"",
        ";a=\"\\", ";a=\"\\\"", ";a=\"b\"c", ";a=\"\x01\"", ";a=\"\n\"", ";a=\"\r\"", ";a=\"\x7f\"", ";a=\"\\\x01\"",
        ";;",      ";a=b=c",    ";a ",       ";\x80",       ";a=\xff"}) {
    EXPECT_NE(chunk_extensions_fault(bad), "") << bad;
  }
  EXPECT_NE(chunk_extensions_fault(std::string_view(";a=\"\0\"", 6)), "");
}

TEST(HttpParser, FindsThePathInEveryFormOfTarget) {
  const auto path = [](const std::string& line) -> std::string {
    const std::string header = line + " HTTP/1.1\r\nHost: x\r\n\r\n";
    const Limits limits;
    HttpParser parser(limits);
    if (const auto step = parser.feed(header); step.refusal) return std::to_string(step.refusal->status);
    const HttpHead head = parser.head();
    return std::string(head.path) + " " + std::string(head.query);
  };
  EXPECT_EQ(path("GET /a?b?c"), "/a b?c");
  EXPECT_EQ(path("GET http://host?x=1"), "/ x=1");
  EXPECT_EQ(path("GET http://host"), "/ ");
  EXPECT_EQ(path("GET HTTPS://host:8080/a?b"), "/a b");
  EXPECT_EQ(path("GET http://[2001:db8::1]:80/a"), "/a ");
  EXPECT_EQ(path("GET http://host/?"), "/ ");
  EXPECT_EQ(path("GET //host/a"), "//host/a ");
  EXPECT_EQ(path("OPTIONS *"), "* ");
  EXPECT_EQ(path("OPTIONS http://host"), "* ");
  EXPECT_EQ(path("OPTIONS http://host/"), "/ ");
  for (const char* wrong : {"GET *", "GET host:80", "GET ?a", "GET http:/host/a", "GET http:///a", "GET http://?a",
                            "GET http://:80/a", "GET http://user@host/a", "GET http://host:a/", "GET http://[::1/a",
                            "GET ftp://host/a", "GET a/b", "CONNECT host:80"}) {
    EXPECT_EQ(path(wrong), "400") << wrong;
  }
}

}  // namespace
}  // namespace qing::serve
