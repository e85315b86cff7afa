// The address of a client in the log.
#include <gtest/gtest.h>

#include <qing/serve/http/request_log.h>

namespace qing::serve {
namespace {

std::string shown(ClientAddress client, std::string_view address, std::string_view forwarded = "", bool trust = false) {
  return shown_client({.client = client, .trust_forwarded_for = trust}, address, forwarded);
}

TEST(RequestLog, ShowsAsMuchOfAnAddressAsItShould) {
  EXPECT_EQ(shown(ClientAddress::kOff, "192.0.2.77"), "");
  EXPECT_EQ(shown(ClientAddress::kFull, "192.0.2.77"), "192.0.2.77");
  EXPECT_EQ(shown(ClientAddress::kTruncated, "192.0.2.77"), "192.0.2.0");
  EXPECT_EQ(shown(ClientAddress::kFull, "2001:db8:1:2:3:4:5:6"), "2001:db8:1:2:3:4:5:6");
  EXPECT_EQ(shown(ClientAddress::kTruncated, "2001:db8:1:2:3:4:5:6"), "2001:db8:1::");
  EXPECT_EQ(shown(ClientAddress::kTruncated, "::ffff:192.0.2.77"), "192.0.2.0") << "an IPv4 address in IPv6's form";
  EXPECT_EQ(shown(ClientAddress::kTruncated, "fe80::1%1"), "fe80::");
  EXPECT_EQ(shown(ClientAddress::kFull, "no address"), "");
}

TEST(RequestLog, TrustsOnlyTheAddressThatTheProxyAppended) {
  const auto full = ClientAddress::kFull;
  EXPECT_EQ(shown(full, "127.0.0.1", "192.0.2.1, 198.51.100.7"), "127.0.0.1") << "nothing is trusted";
  EXPECT_EQ(shown(full, "127.0.0.1", "192.0.2.1, 198.51.100.7", true), "198.51.100.7");
  EXPECT_EQ(shown(full, "127.0.0.1", "198.51.100.7:4711", true), "198.51.100.7");
  EXPECT_EQ(shown(full, "127.0.0.1", "192.0.2.1,[2001:db8::1]:4711 ", true), "2001:db8::1");
  EXPECT_EQ(shown(full, "127.0.0.1", "2001:db8::1", true), "2001:db8::1");
  EXPECT_EQ(shown(ClientAddress::kTruncated, "127.0.0.1", "198.51.100.7", true), "198.51.100.0");
  for (const char* const text : {"", "unknown", "198.51.100.7, I love this film", ",", "[", "198.51.100.7,"}) {
    EXPECT_EQ(shown(full, "127.0.0.1", text, true), "127.0.0.1") << text;
  }
}

}  // namespace
}  // namespace qing::serve
