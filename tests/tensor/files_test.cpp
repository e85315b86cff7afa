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

// Neither file is read into memory.
TEST(Files, EndlessAndEnormousFilesAreNotReadWhole) {
  EXPECT_NE(message_of<IoError>([] { read_file("/dev/zero", 1 << 20); }).find("larger than the limit of 1048576 bytes"),
            std::string::npos);
  const TempFolder folder;
  const fs::path path = folder.write("sparse", "x");
  fs::resize_file(path, uintmax_t{1} << 40);
  EXPECT_NE(message_of<IoError>([&] { read_file(path); }).find("larger than the limit of 1073741824 bytes"),
            std::string::npos);
  EXPECT_EQ(read_file(folder.write("small", "12345"), 5), "12345");
  EXPECT_THROW(read_file(folder.write("small", "123456"), 5), IoError);
}

TEST(Files, ReadsExactlyOrSaysThatTheFileEnds) {
  const TempFolder folder;
  FileReader file(folder.write("f", "abcdef"));
  char four[4];
  file.read_exactly(four);
  EXPECT_EQ(std::string_view(four, 4), "abcd");
  EXPECT_NE(message_of<DataError>([&] { file.read_exactly(four); }).find("ends 2 bytes too early"), std::string::npos);
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
