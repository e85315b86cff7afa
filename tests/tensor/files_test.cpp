#include <qing/tensor/files.h>

#include <gtest/gtest.h>

#include <vector>

#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"
#include "small_disk.h"

namespace qing {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::names_in;
using test::SmallDisk;
using test::TempFolder;

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

TEST_F(SmallDisk, AFullOneLeavesTheOldFile) {
  const fs::path path = folder_.path() / "f";
  write_file_atomically(path, "old");
  const std::string big(100000, 'x');
  EXPECT_NE(message_of<IoError>([&] { write_file_atomically(path, big); }).find("No space left"), std::string::npos);
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(names_in(folder_.path()), (std::vector<std::string>{"f"}));
}

}  // namespace
}  // namespace qing
