// Webhooks: their signatures and addresses.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include <qing/nn/base64.h>
#include <qing/serve/http/url.h>
#include <qing/serve/maintenance/webhook.h>
#include <qing/tensor/errors.h>

#include "../nn/temp_folder.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;

TEST(Webhooks, AreSignedAsStandardWebhooksSays) {
  // The example of the reference implementations: https://github.com/standard-webhooks/standard-webhooks
  const std::string secret = nn::decode_base64("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  EXPECT_EQ(Webhook::signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(Webhooks, NeedASecretAndASafeAddress) {
  const test::TempFolder folder;
  const fs::path file = folder.write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_NO_THROW(Webhook({"http://127.0.0.1:9/x", file}));
  EXPECT_NO_THROW(Webhook({"https://example.org/x", file}));
  EXPECT_THROW(Webhook({"http://example.org/x", file}), ValueError);
  EXPECT_THROW(Webhook({"ftp://127.0.0.1/x", file}), ValueError);
  fs::permissions(file, fs::perms::others_read, fs::perm_options::add);
  EXPECT_THROW(Webhook({"http://127.0.0.1:9/x", file}), IoError);
  const fs::path short_one = folder.write("short", "whsec_YWJj");
  fs::permissions(short_one, fs::perms::owner_read);
  EXPECT_THROW(Webhook({"http://127.0.0.1:9/x", short_one}), DataError);
  EXPECT_THROW(Webhook({"http://127.0.0.1:9/x", folder.path() / "none"}), IoError);
}

TEST(Urls, AreReadOrRefused) {
  const auto url = Url::parse("HTTPS://Example.org/a?b=c");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "Example.org");
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->target, "/a?b=c");
  EXPECT_EQ(Url::parse("http://[::1]:90")->host, "::1");
  EXPECT_EQ(Url::parse("http://[::1]:90")->authority(), "[::1]:90");
  EXPECT_TRUE(Url::parse("http://[::1]:90")->loopback());
  EXPECT_TRUE(Url::parse("http://localhost?x")->loopback());
  EXPECT_EQ(Url::parse("http://localhost?x")->target, "/?x");
  EXPECT_FALSE(Url::parse("http://127.0.0.1.example.org/")->loopback());
  for (const char* wrong :
       {"", "http://", "http:///x", "http://a b/", "http://u:p@host/", "http://host:0/", "http://host:70000/",
        "http://host:1x/", "http://[::1", "http://[x]/", "http://h/#f", "http://h/\n", "mailto:x"}) {
    EXPECT_FALSE(Url::parse(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace qing::serve
