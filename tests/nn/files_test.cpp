#include <qing/nn/files.h>

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include <qing/nn/staged_directory.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

namespace fs = std::filesystem;
using test::content_of;
using test::message_of;
using test::TempFolder;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Files, WriteReplaceAndRead) {
  const TempFolder folder;
  const fs::path path = folder.path() / "f";
  write_file_atomically(path, "old");
  const std::string_view parts[] = {"new ", "", "content"};
  write_file_atomically(path, parts);
  EXPECT_EQ(read_file(path), "new content");
  EXPECT_EQ(names_in(folder.path()), (std::vector<std::string>{"f"}));
}

TEST(Files, ErrorsNameThePathAndTheReason) {
  const TempFolder folder;
  EXPECT_NE(message_of<IoError>([&] { read_file(folder.path() / "no"); }).find("no: cannot open: No such file"),
            std::string::npos);
  EXPECT_NE(message_of<IoError>([&] { read_file(folder.path()); }).find("Is a directory"), std::string::npos);
  EXPECT_NE(message_of<IoError>([&] { write_file_atomically(folder.path() / "no" / "f", "x"); }).find("No such file"),
            std::string::npos);
  fs::create_directory(folder.path() / "d");
  EXPECT_THROW(write_file_atomically(folder.path() / "d", "x"), IoError);
  EXPECT_EQ(names_in(folder.path()), (std::vector<std::string>{"d"}));
}

// A disk of 64 KiB.
class SmallDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "mounting a small tmpfs needs root";
    if (mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=64k") != 0) GTEST_SKIP() << "cannot mount a tmpfs";
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) umount(folder_.path().c_str());
  }
  TempFolder folder_;
  bool mounted_ = false;
};

TEST_F(SmallDisk, AFullOneLeavesTheOldFile) {
  const fs::path path = folder_.path() / "f";
  write_file_atomically(path, "old");
  const std::string big(100000, 'x');
  EXPECT_NE(message_of<IoError>([&] { write_file_atomically(path, big); }).find("No space left"), std::string::npos);
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(names_in(folder_.path()), (std::vector<std::string>{"f"}));
}

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
