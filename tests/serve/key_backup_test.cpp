// What killed commands leave of a backup of keys, and what the next one does with it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <qing/serve/common/draft.h>
#include <qing/serve/keys/key_backup.h>
#include <qing/serve/keys/key_store.h>
#include <qing/serve/keys/pepper.h>

#include "child_process.h"
#include "nn/temp_folder.h"
#include "small_disk.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;

class KeyBackupTest : public ::testing::Test {
 protected:
  KeyBackupTest() { KeyStore(store, true).create({.name = "a"}); }
  size_t drafts() const {
    const std::vector<std::string> names = test::names_in(folder.path());
    return static_cast<size_t>(std::ranges::count_if(names, is_file_draft_name));
  }
  // As a process that is killed leaves it.
  fs::path left(const char* name) const {
    const fs::path draft = draft_name(draft_place(folder.path() / name));
    fs::create_directories(draft);
    std::ofstream(draft / "keys.db") << "SQLite format 3";
    return draft;
  }

  test::TempFolder folder;
  const fs::path store = folder.path() / "keys.db", backup = folder.path() / "backup.db";
};

TEST_F(KeyBackupTest, DraftsOfKilledCommandsAreRemovedAndThoseInUseStay) {
  EXPECT_EQ(drafts(), 0U);
  const fs::path yesterday = left("yesterday.db"), pepper = left("keys.db.pepper");
  const DraftFolder used(draft_place(backup));
  const fs::path archive = folder.write(".qing-a.tar.draft-abcdEF12", "not a backup of keys");
  fs::create_directory(folder.path() / ".qing-mine");
  backup_keys(store, backup, {});
  EXPECT_FALSE(fs::exists(yesterday));
  EXPECT_FALSE(fs::exists(pepper));
  EXPECT_TRUE(fs::exists(used.path()));
  EXPECT_TRUE(fs::exists(archive)) << "that of another command, which removes it";
  EXPECT_TRUE(fs::exists(folder.path() / ".qing-mine")) << "not a name of a draft";
  const fs::path again = left("restored.db");
  restore_keys(backup, folder.path() / "restored.db", {});
  EXPECT_FALSE(fs::exists(again));
  EXPECT_TRUE(fs::exists(used.path()));
  EXPECT_EQ(KeyStore(folder.path() / "restored.db").keys().size(), 1U);
}

TEST_F(KeyBackupTest, ANewStoreRemovesThePepperThatAKillHasLeft) {
  const fs::path pepper = left("other.db.pepper");
  const DraftFolder used(draft_place(folder.path() / "other.db.pepper"));
  KeyStore(folder.path() / "other.db", true).create({.name = "a"});
  EXPECT_FALSE(fs::exists(pepper));
  EXPECT_TRUE(fs::exists(used.path()));
}

TEST_F(KeyBackupTest, AProcessThatIsKilledWithItsDraftLeavesItToTheNext) {
  const auto is_killed = [&] {
    const DraftFolder draft(draft_place(backup));
    ::_exit(9);
  };
  ASSERT_EQ(test::code_of_child(is_killed), 9);
  ASSERT_EQ(drafts(), 1U);
  backup_keys(store, backup, {});
  EXPECT_EQ(drafts(), 0U);
}

}  // namespace
}  // namespace qing::serve
