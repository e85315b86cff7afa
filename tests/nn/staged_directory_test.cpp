#include <qing/nn/staged_directory.h>

#include <gtest/gtest.h>

#include <vector>

#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

#include "nn/temp_folder.h"
#include "small_disk.h"

namespace qing::nn {
namespace {

namespace fs = std::filesystem;
using test::content_of;
using test::names_in;
using test::SmallDisk;
using test::TempFolder;

TEST_F(SmallDisk, AFullOneLeavesTheOldDirectory) {
  const fs::path directory = folder_.path() / "m";
  {
    StagedDirectory staged(directory);
    write_file_atomically(staged.path() / "a", "old a");
    write_file_atomically(staged.path() / "b", "old b");
    staged.commit();
  }
  EXPECT_THROW(
      {
        StagedDirectory staged(directory);
        write_file_atomically(staged.path() / "a", "new a");
        write_file_atomically(staged.path() / "b", std::string(100000, 'x'));
        staged.commit();
      },
      IoError);
  EXPECT_EQ(content_of(directory / "a"), "old a");
  EXPECT_EQ(content_of(directory / "b"), "old b");
  EXPECT_EQ(names_in(directory), (std::vector<std::string>{"a", "b"}));
}

TEST(StagedDirectory, ReplacesItsFilesAndKeepsOthers) {
  const TempFolder folder;
  folder.write("other", "kept");
  folder.write("a", "old");
  {
    StagedDirectory staged(folder.path());
    write_file_atomically(staged.path() / "a", "new");
    EXPECT_EQ(content_of(folder.path() / "a"), "old");
    staged.commit();
  }
  EXPECT_EQ(content_of(folder.path() / "a"), "new");
  EXPECT_EQ(content_of(folder.path() / "other"), "kept");
  EXPECT_EQ(names_in(folder.path()), (std::vector<std::string>{"a", "other"}));
}

}  // namespace
}  // namespace qing::nn
