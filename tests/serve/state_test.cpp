// The state folder: made when needed, private, migrated forward with a copy, refused when it is another's or newer.
#include <gtest/gtest.h>

#include <filesystem>

#include <qing/serve/state/state.h>
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

}  // namespace
}  // namespace qing::serve
