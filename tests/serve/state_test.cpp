// The state folder: made when needed, private, migrated forward with a copy, refused when it is another's or newer.
#include <gtest/gtest.h>

#include <filesystem>

#include <qing/serve/state/audit.h>
#include <qing/serve/state/state.h>
#include <qing/serve/state/state_check.h>
#include <qing/tensor/errors.h>

#include "../nn/temp_folder.h"

namespace qing::serve {
namespace {
namespace fs = std::filesystem;

TEST(State, IsMadeWhenNeededAndPrivate) {
  const test::TempFolder temp;
  const State state(temp.path() / "deep/state");
  EXPECT_FALSE(state.exists());
  EXPECT_FALSE(fs::exists(state.folder()));
  EXPECT_EQ(state.open().number("PRAGMA user_version"), State::kVersion);
  EXPECT_TRUE(state.exists());
  EXPECT_EQ(fs::status(state.folder()).permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(state.database()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST(State, ANewerOneIsRefused) {
  const test::TempFolder temp;
  const State state(temp.path() / "state");
  state.open().run("PRAGMA user_version = 1000");
  EXPECT_THROW(state.open(), DataError);
}

TEST(State, AnotherDatabaseIsRefused) {
  const test::TempFolder temp;
  const State state(temp.path());
  Database(state.database(), Database::Mode::kCreate).run("CREATE TABLE notes(text TEXT)");
  EXPECT_THROW(state.open(), DataError);
}

TEST(State, AFolderThatCannotBeMadeIsAnIoError) { EXPECT_THROW(State("/proc/none/state").open(), IoError); }

TEST(State, IsCheckedWithoutBeingMade) {
  const test::TempFolder temp;
  const State state(temp.path() / "deep/state");
  check_state(state);
  EXPECT_FALSE(fs::exists(temp.path() / "deep"));
  temp.write("file", "x");
  EXPECT_THROW(check_state(State(temp.path() / "file")), IoError);
  EXPECT_THROW(check_state(State(temp.path() / "file/state")), IoError);
  state.open().run("PRAGMA user_version = 1000");
  EXPECT_THROW(check_state(state), DataError);
}

TEST(Audit, IsWrittenWithTheChangeOrNotAtAll) {
  const test::TempFolder temp;
  Database database = State(temp.path() / "state").open();
  {
    const Transaction lost(database);
    record(database, {.project = "a", .action = "file.create", .object = "file-1"});
  }
  EXPECT_TRUE(audit_entries(database, {}).empty());
  Transaction kept(database);
  record(database, {.time = 5, .key = "k", .project = "a", .action = "file.create", .object = "f", .detail = "2 rows"});
  kept.commit();
  const std::vector<AuditEntry> entries = audit_entries(database, {});
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].time, 5);
  EXPECT_EQ(entries[0].key, "k");
  EXPECT_EQ(entries[0].object, "f");
  EXPECT_EQ(entries[0].detail, "2 rows");
}

TEST(Audit, IsReadInPagesByProjectAndAction) {
  const test::TempFolder temp;
  Database database = State(temp.path() / "state").open();
  for (int i = 0; i < 10; ++i) {
    record(database,
           {.project = i % 2 == 0 ? "a" : "b", .action = i % 3 == 0 ? "model.load" : "modelled", .object = "x"});
  }
  const auto first = audit_entries(database, {.most = 4}), second = audit_entries(database, {.before = 7, .most = 4});
  ASSERT_EQ(first.size(), 4U);
  EXPECT_EQ(first.front().number, 10);
  EXPECT_EQ(first.back().number, 7);
  EXPECT_EQ(second.front().number, 6);
  EXPECT_EQ(audit_entries(database, {.project = "a"}).size(), 5U);
  EXPECT_EQ(audit_entries(database, {.action = "model"}).size(), 4U) << "a word that begins alike is another action";
  EXPECT_EQ(audit_entries(database, {.action = "model.load"}).size(), 4U);
  database.run("DELETE FROM audit");
  record(database, {.action = "later"});
  EXPECT_EQ(audit_entries(database, {}).front().number, 11) << "numbers are never given twice";
}

}  // namespace
}  // namespace qing::serve
