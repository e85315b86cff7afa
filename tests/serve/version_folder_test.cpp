// Versions on their way: copies, marks, and what killed processes have left of them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <qing/serve/common/draft.h>
#include <qing/serve/maintenance/leftovers.h>
#include <qing/serve/maintenance/promotion_store.h>
#include <qing/serve/maintenance/version_folder.h>
#include <qing/serve/state/audit.h>
#include <qing/tensor/errors.h>

#include "../nn/temp_folder.h"
#include "serve_fixture.h"
#include "small_disk.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;

TEST(VersionFolders, AreCopiedWholeUnderTheNextFreeNumber) {
  const test::TempFolder folder;
  const fs::path source = folder.path() / "source", root = folder.path() / "models";
  const auto copy = [&] {
    NewVersion made(source, root, "mood", 2);
    made.keep();
    return made.number();
  };
  fs::create_directories(source / "run");
  std::ofstream(source / "weights") << "abc";
  std::ofstream(source / "run/log") << "def";
  EXPECT_EQ(copy(), 2);
  EXPECT_EQ(copy(), 3);
  EXPECT_EQ(test::content_of(root / "mood/3/run/log"), "def");
  // What a crash left of a copy.
  fs::create_directories(root / "mood/.incoming");
  std::ofstream(root / "mood/.incoming/weights") << "x";
  EXPECT_EQ(copy(), 4);
  EXPECT_EQ(test::names_in(root / "mood"), (std::vector<std::string>{".registry.lock", "2", "3", "4"}));
  fs::create_symlink("/etc/hostname", source / "link");
  EXPECT_THROW(copy(), DataError);
  EXPECT_EQ(test::names_in(root / "mood"), (std::vector<std::string>{".registry.lock", "2", "3", "4"}));
}

TEST(VersionFolders, AreRemovedUnlessTheyAreKept) {
  const test::TempFolder folder;
  const fs::path source = folder.path() / "source", root = folder.path() / "models";
  fs::create_directories(source);
  std::ofstream(source / "weights") << "abc";
  {
    const NewVersion made(source, root, "mood", 2);
    EXPECT_EQ(test::content_of(root / "mood/2/weights"), "abc");
    EXPECT_TRUE(fs::exists(root / "mood/.promoting-2"));
  }
  EXPECT_EQ(test::names_in(root / "mood"), std::vector<std::string>{".registry.lock"});
}

TEST(VersionFolders, OfOthersAreNotTouchedWhenTheyCannotBeLookedAt) {
  const test::TempFolder folder;
  const fs::path source = folder.path() / "source", mood = folder.path() / "models/mood";
  fs::create_directories(source);
  std::ofstream(source / "weights") << "abc";
  fs::create_directories(mood);
  fs::create_symlink("1", mood / "1");                        // cannot be followed
  fs::create_directories(mood / ".promoting-1" / "is_kept");  // nor can a mark be written
  EXPECT_THROW(NewVersion(source, folder.path() / "models", "mood", 1), IoError);
  EXPECT_TRUE(fs::is_symlink(mood / "1"));
  EXPECT_TRUE(fs::exists(mood / ".promoting-1/is_kept"));
  EXPECT_THROW(NewVersion(source, folder.path() / "models", "mood", 1), IoError) << "the lock is free again";
  EXPECT_EQ(test::names_in(mood), (std::vector<std::string>{".promoting-1", ".registry.lock", "1"}));
}

class LeftoversTest : public ::testing::Test {
 protected:
  LeftoversTest() {
    fs::create_directories(folder.path() / "source");
    std::ofstream(folder.path() / "source/weights") << "abc";
    Database database = state.open();
    PromotionStore(database).add({.model = "mood", .version = 2, .source = "ft", .key = "k", .project = "a"});
    PromotionStore(database).add({.model = "mood", .version = 3, .source = "ft", .key = "k", .project = "a"});
    NewVersion(folder.path() / "source", state.models(), "mood", 2).keep();
  }
  std::vector<std::string> versions() const { return test::names_in(state.models() / "mood"); }

  test::TempFolder folder;
  const State state{folder.path() / "state"};
};

// A kill after the copy, before the version was served.
TEST_F(LeftoversTest, APromotionThatWasNotFinishedIsWithdrawn) {
  fs::copy(folder.path() / "source", state.models() / "mood/3");
  std::ofstream(state.models() / "mood/.promoting-3") << "";
  std::ofstream(state.models() / "mood/.promoting-x") << "not a mark";
  remove_leftovers(state);
  EXPECT_EQ(versions(), (std::vector<std::string>{".promoting-x", ".registry.lock", "2"}));
  Database database = state.open();
  const std::vector<Promotion> promotions = PromotionStore(database).of("mood", 10);
  ASSERT_EQ(promotions.size(), 2U);
  EXPECT_EQ(promotions[0].version, 0);
  EXPECT_EQ(promotions[0].reasons.size(), 1U);
  EXPECT_EQ(promotions[1].version, 2);
  EXPECT_TRUE(promotions[1].reasons.empty());
  const auto entries = audit_entries(database, {.project = "a"});
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].action, "model.withdraw_version");
  EXPECT_EQ(entries[0].detail.find("version 3: "), 0U);
}

TEST_F(LeftoversTest, AVersionThatAnotherProcessMakesIsWaitedFor) {
  std::thread start;
  {
    NewVersion made(folder.path() / "source", state.models(), "mood", 3);
    start = std::thread([&] { remove_leftovers(state); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    made.keep();
  }
  start.join();
  EXPECT_EQ(versions(), (std::vector<std::string>{".registry.lock", "2", "3"}));
  Database database = state.open();
  EXPECT_EQ(PromotionStore(database).of("mood", 1).front().version, 3);
}

TEST_F(LeftoversTest, DraftsOfKilledProcessesAreRemovedAndThoseInUseStay) {
  const fs::path place = state.folder() / ".backup-";
  const DraftFolder used(place);
  const fs::path left = draft_name(place),
                 beside = draft_name(state.folder().parent_path() /
                                     ("." + state.folder().filename().string() + ".restore-"));
  for (const fs::path& path : {left, beside}) {
    fs::create_directories(path / "files");
    std::ofstream(path / "files/x") << "x";
  }
  fs::create_directory(state.folder() / ".backup-of-mine");
  remove_leftovers(state);
  EXPECT_FALSE(fs::exists(left));
  EXPECT_FALSE(fs::exists(beside));
  EXPECT_TRUE(fs::exists(used.path()));
  EXPECT_TRUE(fs::exists(state.folder() / ".backup-of-mine")) << "not a name of a draft";
}

}  // namespace
}  // namespace qing::serve
