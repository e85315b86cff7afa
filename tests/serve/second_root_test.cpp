// A registry of two roots: versions of both, the choices' file, manifests, models that come and go.
#include <algorithm>
#include <exception>
#include <filesystem>
#include <stop_token>
#include <string>
#include <thread>

#include <qing/serve/maintenance/version_folder.h>
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

TEST_F(SecondRoot, ChoicesLieWhereTheModelLies) {
  have("first/mood/1"), have("first/mood/2"), have("second/ft/1"), have("second/ft/2");
  Registry models = registry();
  models.load();
  models.load("mood", 1);
  EXPECT_FALSE(fs::exists(temp.path() / "second/.registry.json"));
  models.load("ft", 1);
  models.set_alias("live", {"mood", 0});
  models.set_alias("mine", {"ft", 2});
  const RegistryState first = RegistryState::read(temp.path() / "first/.registry.json");
  const RegistryState second = RegistryState::read(temp.path() / "second/.registry.json");
  EXPECT_TRUE(first.models.contains("mood") && first.models.size() == 1);
  EXPECT_TRUE(second.models.contains("ft") && second.models.size() == 1);
  EXPECT_TRUE(first.aliases.contains("live") && first.aliases.size() == 1);
  EXPECT_TRUE(second.aliases.contains("mine") && second.aliases.size() == 1);
  Registry reopened = registry();
  reopened.load();
  EXPECT_EQ(reopened.find("live")->version, 1);
  EXPECT_EQ(reopened.find("mine")->version, 2);
  EXPECT_EQ(reopened.find("ft")->version, 1);
  reopened.remove_alias("mine");
  reopened.set_alias("live", {"ft", 0});
  EXPECT_EQ(reopened.find("live")->name, "ft");
  EXPECT_EQ(RegistryState::read(temp.path() / "second/.registry.json").aliases.at("live").model, "ft");
  reopened.unload("mood");  // no alias stands for it any more
  EXPECT_THROW(reopened.forget("ft"), ValueError);
}

// Two servers of one machine use the same state unless told otherwise.
TEST_F(SecondRoot, ServersOfOneStateAndOtherModelsKeepTheirChoicesApart) {
  have("first/mood/1"), have("first/mood/2"), have("third/mood/1"), have("third/mood/2"), have("second/ft/1");
  Registry one = registry();
  Registry other(
      temp.path() / "third", [](const fs::path&) { return std::make_shared<FakeClassifier>(); },
      temp.path() / "second");
  one.load(), other.load();
  one.load("mood", 1), one.set_alias("live", {"mood", 0}), one.set_alias("ours", {"ft", 0});
  other.rescan();
  EXPECT_EQ(other.find("mood")->version, 2);
  EXPECT_FALSE(other.find("live"));
  EXPECT_TRUE(other.find("ours")) << "the trained model is the state's, and so is its alias";
}

TEST_F(SecondRoot, APromotedModelIsChosenInTheState) {
  have("first/mood/1"), have("first/mood/2");
  Registry models = registry();
  models.load();
  models.load("mood", 1);
  models.set_alias("live", {"mood", 0});
  const RegistryState first = RegistryState::read(temp.path() / "first/.registry.json");
  have("second/mood/3");
  Registry reopened = registry();
  reopened.load();
  EXPECT_EQ(reopened.find("mood")->version, 3) << "a version that came since the choice";
  EXPECT_EQ(reopened.find("live")->version, 3) << "an alias of before counts";
  reopened.rollback("mood");
  EXPECT_EQ(reopened.find("mood")->version, 1);
  EXPECT_TRUE(RegistryState::read(temp.path() / "second/.registry.json").models.contains("mood"));
  EXPECT_EQ(RegistryState::read(temp.path() / "first/.registry.json"), first);
  reopened.remove_alias("live");
  reopened.rescan();
  EXPECT_FALSE(reopened.find("live"));
}

// Replicas with a folder of models in common and a state each.
TEST_F(SecondRoot, APromotionLeavesTheChoicesOfServersWithAnotherState) {
  have("first/mood/1"), have("first/mood/2"), have("second"), have("third");
  const auto load = [](const fs::path&) { return std::make_shared<FakeClassifier>(); };
  Registry one = registry(), other(temp.path() / "first", load, temp.path() / "third");
  one.load(), other.load();
  one.load("mood", 1), one.set_alias("live", {"mood", 0});
  have("second/mood/3");
  one.load("mood", 3), one.set_alias("mine", {"mood", 3}), one.set_alias("live", {"mood", 3});
  other.rescan();
  EXPECT_EQ(other.find("mood")->version, 1);
  EXPECT_EQ(other.find("live")->version, 1);
  EXPECT_FALSE(other.find("mine"));
  one.rescan();
  EXPECT_EQ(one.find("live")->version, 3);
}

TEST_F(SecondRoot, BothRootsMayBeOneFolder) {
  have("second/ft/1"), have("second/ft/2");
  Registry models(
      temp.path() / "second", [](const fs::path&) { return std::make_shared<FakeClassifier>(); },
      temp.path() / "second/../second");
  models.load();
  models.load("ft", 1);
  models.set_alias("mine", {"ft", 0});
  EXPECT_EQ(models.find("mine")->version, 1);
}

TEST_F(SecondRoot, AVersionOnItsWayIsNotServed) {
  have("first/mood/1"), have("second/mood/2"), have("second/new/1");
  write_file_atomically(temp.path() / "second/mood/.promoting-2", "");
  write_file_atomically(temp.path() / "second/new/.promoting-1", "");
  Registry models = registry();
  models.load();
  EXPECT_EQ(models.find("mood")->version, 1);
  EXPECT_FALSE(models.find("new"));
  EXPECT_EQ(models.load("mood", 2).version, 2) << "the server that makes it asks for it";
  models.rescan();
  EXPECT_EQ(models.find("mood")->version, 2);
}

TEST_F(SecondRoot, AVersionOnItsWayIsTakenByItsNumberAlone) {
  have("first/mood/1"), have("second/mood/2"), have("second/ft/1"), have("second/ft/2"), have("second/new/1");
  for (const char* mark : {"mood/.promoting-2", "ft/.promoting-2", "new/.promoting-1"}) {
    write_file_atomically(temp.path() / "second" / mark, "");
  }
  Registry models = registry();
  EXPECT_EQ(models.load("mood", 0).version, 1);
  models.discover("ft");
  EXPECT_EQ(models.find("ft")->version, 1);
  EXPECT_THROW(models.discover("new"), IndexError);
  const std::string why = test::message_of<IndexError>([&] { models.load("new", 0); });
  EXPECT_NE(why.find("not finished yet"), std::string::npos) << why;
  EXPECT_EQ(why.find("version 0"), std::string::npos) << why;
  EXPECT_EQ(models.load("mood", 2).version, 2);
}

// Another server looks for new models all the time.
TEST_F(SecondRoot, AVersionThatBeginsOnTrialNeverAnswersForAll) {
  have("first/mood/1"), have("second"), have("source");
  write_file_atomically(temp.path() / "source/weights", "abc");
  Registry one = registry(), other = registry();
  one.load(), other.load();
  std::int64_t highest = 0;
  std::string failure;
  // Ends with the test, also when a promotion throws.
  std::jthread rescans([&](const std::stop_token& done) {
    try {
      while (!done.stop_requested()) {
        other.rescan();
        highest = std::max(highest, other.find("mood")->version);
      }
    } catch (const std::exception& error) { failure = error.what(); }
  });
  for (std::int64_t version = 2; version < 80; ++version) {
    NewVersion made(temp.path() / "source", temp.path() / "second", "mood", version);
    one.set_trial("mood", {version, 0.5, false});
    made.keep();
  }
  rescans.request_stop();
  rescans.join();
  EXPECT_EQ(failure, "");
  EXPECT_EQ(highest, 1);
  other.rescan();
  EXPECT_EQ(other.find("mood")->versions.size(), 79U);
}

TEST_F(SecondRoot, AFolderWithALockAloneIsNoFailure) {
  have("first/mood/1"), have("second/mood"), have("second/other");
  write_file_atomically(temp.path() / "second/mood/.registry.lock", "");  // of a promotion that was withdrawn
  write_file_atomically(temp.path() / "second/other/weights", "");
  Registry models = registry();
  models.load();
  EXPECT_EQ(models.failure("mood"), "");
  EXPECT_NE(models.failure("other").find("holds no version"), std::string::npos);
}

TEST_F(SecondRoot, AWithdrawnVersionIsNotChosen) {
  have("first/mood/1"), have("second/mood/2"), have("second/mood/4"), have("second/mood/5");
  Registry models = registry();
  models.load();
  models.load("mood", 2), models.load("mood", 5);
  ChoiceFiles::withdraw(temp.path() / "second", "mood", 4);
  Registry same = registry();
  same.load();
  EXPECT_EQ(same.find("mood")->version, 5);
  fs::remove_all(temp.path() / "second/mood/5");
  ChoiceFiles::withdraw(temp.path() / "second", "mood", 5);
  Registry reopened = registry();
  reopened.load();
  EXPECT_EQ(reopened.find("mood")->version, 2) << "what was chosen before, not the highest";
}

// A lock file that is a folder fails like a read-only file system, also for root.
TEST_F(SecondRoot, AReadOnlyFirstRootRefusesOnlyItsOwnChoices) {
  have("first/mood/1"), have("first/mood/2"), have("first/emo/1"), have("second/emo/2"), have("second/ft/1");
  have("first/.registry.lock");
  RegistryState{.models = {{"emo", {1, 0, 1}}}, .aliases = {{"old", {"emo", 0}}}, .trials = {}}.write(
      temp.path() / "first/.registry.json");
  Registry models = registry();
  models.load();
  EXPECT_EQ(models.load("emo", 1).version, 1) << "a promoted model is the state's";
  models.set_alias("mine", {"ft", 0});
  EXPECT_EQ(models.find("mine")->name, "ft");
  EXPECT_THROW(models.set_alias("live", {"mood", 0}), IoError);
  EXPECT_FALSE(models.find("live"));
  EXPECT_THROW(models.load("mood", 1), IoError);
  EXPECT_EQ(models.find("mood")->version, 2);
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
