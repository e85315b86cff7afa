#include <qing/nn/staged_directory.h>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
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

TEST(StagedDirectory, TwoOfOneFolderLeaveEachOtherAlone) {
  const TempFolder folder;
  StagedDirectory first(folder.path());
  write_file_atomically(first.path() / "a", "first");
  {
    StagedDirectory second(folder.path());
    EXPECT_NE(second.path(), first.path());
    write_file_atomically(second.path() / "b", "second");
    EXPECT_EQ(content_of(first.path() / "a"), "first");
    second.commit();
  }
  first.commit();
  EXPECT_EQ(content_of(folder.path() / "a"), "first");
  EXPECT_EQ(content_of(folder.path() / "b"), "second");
}

TEST(StagedDirectory, AtTheSameTimeFromManyThreads) {
  const TempFolder folder;
  std::vector<std::thread> threads;
  std::atomic<int> failed = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        try {
          StagedDirectory staged(folder.path());
          write_file_atomically(staged.path() / std::to_string(t), std::to_string(i));
          staged.commit();
        } catch (const Error&) { ++failed; }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(names_in(folder.path()), (std::vector<std::string>{"0", "1", "2", "3"}));
  for (int t = 0; t < 4; ++t) EXPECT_EQ(content_of(folder.path() / std::to_string(t)), "49");
}

TEST(StagedDirectory, RemovesWhatAKilledProcessLeft) {
  const TempFolder folder;
  fs::create_directory(folder.path() / ".staged-step-000000000001");  // a checkpoint's
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto* abandoned = new StagedDirectory(folder.path());
    write_file_atomically(abandoned->path() / "a", "half");
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(names_in(folder.path()).size(), 2u);
  { const StagedDirectory staged(folder.path()); }
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{".staged-step-000000000001"});
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
