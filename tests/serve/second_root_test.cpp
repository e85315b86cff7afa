// A registry of two roots: versions of both, the choices' file, manifests, models that come and go.
#include <filesystem>

#include <qing/serve/registry/model_manifest.h>
#include <qing/tensor/files.h>

#include "nn/temp_folder.h"
#include "serve/serve_fixture.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;

class SecondRoot : public ::testing::Test {
 protected:
  void have(const fs::path& folder) { fs::create_directories(temp.path() / folder); }
  Registry registry() {
    return Registry(
        temp.path() / "first", [](const fs::path&) { return std::make_shared<FakeClassifier>(); },
        temp.path() / "second");
  }

  test::TempFolder temp;
};

TEST_F(SecondRoot, VersionsOfBothAreOneModels) {
  have("first/mood/1"), have("second/mood/2"), have("second/other/1");
  Registry models = registry();
  models.load();
  EXPECT_EQ(models.find("mood")->versions, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(models.find("mood")->version, 2);
  EXPECT_EQ(models.folder_of("mood", 2), temp.path() / "second/mood/2");
  EXPECT_EQ(models.folder_of("mood", 1), temp.path() / "first/mood/1");
  EXPECT_TRUE(models.find("other"));
  EXPECT_EQ(models.load("mood", 1).version, 1);
}

TEST_F(SecondRoot, ChoicesLieInTheSecondRootOnceItIsThere) {
  have("first/mood/1"), have("first/mood/2");
  Registry models = registry();
  models.load();
  models.load("mood", 1);
  EXPECT_TRUE(fs::exists(temp.path() / "first/.registry.json"));
  EXPECT_FALSE(fs::exists(temp.path() / "second")) << "a server that stores nothing makes no state";
  have("second");
  Registry reopened = registry();
  reopened.load();
  EXPECT_EQ(reopened.find("mood")->version, 1) << "a choice of before counts";
  reopened.load("mood", 2);
  EXPECT_TRUE(fs::exists(temp.path() / "second/.registry.json"));
  reopened.rescan();
  EXPECT_EQ(reopened.find("mood")->version, 2);
}

TEST_F(SecondRoot, AModelComesAndGoesByItself) {
  have("first/mood/1");
  Registry models = registry();
  models.load();
  EXPECT_THROW(models.discover("ft"), IndexError);
  have("second/ft/1"), have("second/unasked/1");
  models.discover("ft");
  models.discover("ft");
  EXPECT_EQ(models.find("ft")->version, 1);
  EXPECT_FALSE(models.find("unasked"));
  models.set_alias("name", {"ft", 0});
  EXPECT_THROW(models.forget("ft"), ValueError);
  models.remove_alias("name");
  models.forget("ft");
  EXPECT_FALSE(models.find("ft"));
  models.discover("ft");
  EXPECT_TRUE(models.find("ft"));
}

TEST_F(SecondRoot, FilesMustBeThoseOfTheManifest) {
  have("second/ft/1/run"), have("first/mood/1");
  const fs::path folder = temp.path() / "second/ft/1";
  write_file_atomically(folder / "weights", "abc");
  write_file_atomically(folder / "run/log", "");
  write_manifest(folder);
  check_manifest(folder);
  write_manifest(folder);  // it does not contain itself
  check_manifest(folder);
  write_file_atomically(folder / "weights", "abd");
  EXPECT_THROW(check_manifest(folder), DataError);
  Registry models = registry();
  models.load();
  EXPECT_FALSE(models.find("ft"));
  EXPECT_NE(models.failure("ft").find("weights"), std::string::npos) << models.failure("ft");
  fs::remove(folder / "weights");
  EXPECT_THROW(check_manifest(folder), DataError);
  for (const char* text : {"", "{}", R"({"sha256":{"../x":"00"}})", R"({"sha256":{"run/log":1}})"}) {
    write_file_atomically(folder / kManifestFile, text);
    EXPECT_THROW(check_manifest(folder), DataError) << text;
  }
}

}  // namespace
}  // namespace qing::serve
