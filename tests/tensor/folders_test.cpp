#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <qing/tensor/folders.h>

#include "nn/temp_folder.h"

namespace qing {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> sorted_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : entries_of(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

TEST(Folders, ListFilesFoldersAndLinks) {
  const test::TempFolder folder;
  folder.write("a", "abc");
  folder.write(".hidden", "");
  fs::create_directories(folder.path() / "b/c");
  fs::create_symlink("nowhere", folder.path() / "link");
  EXPECT_EQ(sorted_names(folder.path()), (std::vector<std::string>{".hidden", "a", "b", "link"}));
  for (const fs::directory_entry& entry : entries_of(folder.path())) {
    EXPECT_EQ(entry.path().parent_path(), folder.path());
    EXPECT_EQ(entry.is_directory(), entry.path().filename() == "b");
  }
  EXPECT_TRUE(entries_of(folder.path() / "b/c").empty());
  fs::create_directory_symlink(folder.path() / "b", folder.path() / "b/c/up");
  std::vector<std::string> below;
  for (const fs::directory_entry& entry : entries_below(folder.path())) {
    below.push_back(entry.path().lexically_relative(folder.path()).string());
  }
  std::ranges::sort(below);
  EXPECT_EQ(below, (std::vector<std::string>{".hidden", "a", "b", "b/c", "b/c/up", "link"}))
      << "links are not followed";
}

TEST(Folders, SayWhyTheyCannotBeListed) {
  const test::TempFolder folder;
  folder.write("a", "abc");
  std::error_code error;
  EXPECT_TRUE(entries_of(folder.path() / "none", error).empty());
  EXPECT_EQ(error, std::errc::no_such_file_or_directory);
  entries_of(folder.path(), error);
  EXPECT_FALSE(error) << "a former error is cleared";
  try {
    entries_of(folder.path() / "a");
    FAIL() << "nothing was thrown";
  } catch (const fs::filesystem_error& why) {
    EXPECT_EQ(why.code(), std::errc::not_a_directory);
    EXPECT_EQ(why.path1(), folder.path() / "a");
  }
}

TEST(Folders, AreListedWholeOrNotAtAll) {
  // The path of the folder can be opened, and the path of its entry is too long for the system.
  const test::TempFolder folder;
  fs::path deep = folder.path();
  int last = ::open(deep.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_GE(last, 0);
  for (size_t room = 0; (room = PATH_MAX - 1 - deep.native().size()) > 3;) {
    const std::string name(std::min<size_t>(200, room - 1), 'd');
    ASSERT_EQ(::mkdirat(last, name.c_str(), 0700), 0);
    const int next = ::openat(last, name.c_str(), O_RDONLY | O_DIRECTORY);
    ::close(last);
    ASSERT_GE(last = next, 0);
    deep /= name;
  }
  EXPECT_TRUE(entries_of(deep).empty());
  ::close(::openat(last, "a file", O_WRONLY | O_CREAT, 0600));
  ::close(last);
  std::error_code error;
  EXPECT_TRUE(entries_of(deep, error).empty());
  EXPECT_EQ(error, std::errc::filename_too_long);
  EXPECT_THROW(entries_of(deep), fs::filesystem_error);
  EXPECT_TRUE(remove_tree(folder.path() / std::string(200, 'd'))) << "which needs no long paths";
  EXPECT_TRUE(entries_of(folder.path()).empty());
}

TEST(Folders, AreRemovedWithAllThatIsInThem) {
  const test::TempFolder folder;
  const fs::path kept = folder.path() / "kept", tree = folder.path() / "tree";
  fs::create_directories(kept);
  std::ofstream(kept / "x") << "x";
  fs::create_directories(tree / "a/b/c");
  for (int i = 0; i < 300; ++i) std::ofstream(tree / "a/b" / std::to_string(i)) << "x";
  fs::create_directory_symlink(kept, tree / "a/link");
  EXPECT_TRUE(remove_tree(tree));
  EXPECT_FALSE(fs::exists(tree));
  EXPECT_TRUE(fs::exists(kept / "x")) << "links are not followed";
  EXPECT_FALSE(remove_tree(tree)) << "it is not there";
  fs::create_directory_symlink(kept, folder.path() / "link");
  EXPECT_TRUE(remove_tree(folder.path() / "link"));
  EXPECT_TRUE(remove_tree(kept / "x"));
  EXPECT_EQ(sorted_names(folder.path()), std::vector<std::string>{"kept"});
  std::error_code error;
  remove_tree("/proc/self/status", error);
  EXPECT_TRUE(error);
  EXPECT_THROW(remove_tree("/proc/self/status"), fs::filesystem_error);
}

}  // namespace
}  // namespace qing
