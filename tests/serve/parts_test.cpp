// Parts of the service without a socket: registry, keys.
#include "nn/temp_folder.h"
#include "serve/serve_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <qing/serve/common/hmac.h>
#include <qing/serve/keys/api_keys.h>

namespace qing::serve {
namespace {

namespace fs = std::filesystem;

using test::TempFolder;

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
  registry.load();
  EXPECT_EQ(registry.find("mood")->version, 1);
  EXPECT_EQ(registry.failure("mood"), "version 2: broken");
}

TEST(RegistryTest, NamesWhatIsWrong) {
  const TempFolder root;
  EXPECT_THROW(Registry(root.path() / "none").load(), IoError);
  EXPECT_THROW(Registry(root.path()).load(), DataError);
  Registry registry;
  EXPECT_THROW(registry.load(), ValueError);
  EXPECT_THROW(registry.add("a/b", 1, std::make_shared<FakeClassifier>()), ValueError);
  EXPECT_THROW(registry.add("..", 1, std::make_shared<FakeClassifier>()), ValueError);
  EXPECT_THROW(registry.add("a", 0, std::make_shared<FakeClassifier>()), ValueError);
  EXPECT_THROW(registry.add("a", 1, nullptr), ValueError);
}

TEST(ApiKeysTest, ReadsAndComparesKeys) {
  const TempFolder folder;
  const fs::path file = folder.path() / "keys";
  std::ofstream(file) << "# comment\n  key-one-0123456789  \n\nkey-two-0123456789";
  ApiKeys keys = ApiKeys::from_file(file);
  EXPECT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys.admit("key-one-0123456789", Scope::kPredict), "key 1");
  EXPECT_EQ(keys.admit("key-two-0123456789", Scope::kAdmin), "key 2");
  for (const char* wrong : {"", "key-one-012345678", "key-one-01234567890", "# comment", "KEY-ONE-0123456789"}) {
    EXPECT_THROW(keys.admit(wrong, Scope::kPredict), Refusal) << wrong;
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

// The test vectors 1, 2 and 6 of RFC 4231.
TEST(Hmac, IsThatOfTheStandard) {
  const auto of = [](std::string_view secret, std::string_view text) {
    const std::vector<unsigned char> bytes(secret.begin(), secret.end());
    std::string hex;
    for (const unsigned char byte : hmac_sha256(bytes, text)) hex += fmt::format("{:02x}", byte);
    return hex;
  };
  EXPECT_EQ(of(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(of("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(of(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

}  // namespace
}  // namespace qing::serve
