// The store of files: ids, pages, projects, quotas, expiry, removal, and what a killed process leaves.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/files/file_store.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

#include "small_disk.h"

namespace qing::serve {
namespace {
namespace fs = std::filesystem;
using test::names_in;

constexpr std::string_view kRows = "label\ttext\npositive\tgood\nnegative\tbad\n";
constexpr std::uint64_t kPlenty = 1 << 30;

class FileStoreTest : public test::SmallDisk {
 protected:
  void SetUp() override {}
  StoredFile put(std::string_view content = kRows, NewFile file = {"default", "a.tsv", "fine-tune"},
                 std::uint64_t allowed = kPlenty) {
    Upload upload(state.files());
    upload.write(content);
    return store.create(file, upload, allowed);
  }
  State state{folder_.path() / "state"};
  Database database = state.open();
  FileStore store{database, state};
};

TEST_F(FileStoreTest, KeepsBytesAndWhatTheyAre) {
  const StoredFile file = put();
  EXPECT_EQ(file.id.size(), 29U);
  EXPECT_EQ(file.id.substr(0, 5), "file-");
  EXPECT_EQ(file.bytes, static_cast<std::int64_t>(kRows.size()));
  EXPECT_EQ(file.report->rows, 2);
  EXPECT_TRUE(file.usable());
  EXPECT_EQ(read_file(store.content(file.id)), kRows);
  EXPECT_EQ(names_in(state.files()), (std::vector<std::string>{file.id}));
  EXPECT_EQ(fs::status(store.content(file.id)).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  const auto again = store.get("default", file.id);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->sha256, file.sha256);
  EXPECT_EQ(again->name, "a.tsv");
  EXPECT_EQ(to_json(*again->report), to_json(*file.report));
  EXPECT_FALSE(put("no rows").usable());
  EXPECT_FALSE(put("no rows", {"default", "a", "batch"}).report);
}

TEST_F(FileStoreTest, ProjectsDoNotSeeEachOther) {
  const StoredFile file = put();
  EXPECT_FALSE(store.get("other", file.id));
  EXPECT_FALSE(store.remove("other", file.id));
  EXPECT_TRUE(store.list("other", {}).files.empty());
  EXPECT_EQ(store.used("other"), 0U);
  EXPECT_TRUE(store.get("default", file.id));
}

TEST_F(FileStoreTest, PagesGoOnAfterAFileThatWasRemoved) {
  std::vector<std::string> ids;
  for (int i = 0; i < 7; ++i) {
    ids.push_back(put("x", {"default", fmt::format("{}", i), i % 2 == 0 ? "batch" : "user_data"}).id);
    EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), ids.size());
  }
  for (const bool newest_first : {true, false}) {
    std::vector<std::string> seen;
    FileStore::ListOptions options{.newest_first = newest_first, .limit = 3};
    for (;;) {
      const FileStore::Page page = store.list("default", options);
      for (const StoredFile& file : page.files) seen.push_back(file.id);
      if (!page.has_more) break;
      options.after = seen.back();
    }
    std::vector<std::string> expected = ids;
    if (newest_first) std::ranges::reverse(expected);
    EXPECT_EQ(seen, expected);
  }
  EXPECT_EQ(store.list("default", {.purpose = "batch"}).files.size(), 4U);
  EXPECT_TRUE(store.remove("default", ids[3]));
  EXPECT_EQ(store.list("default", {.after = ids[3], .newest_first = false}).files.size(), 3U);
}

TEST_F(FileStoreTest, AProjectKeepsNoMoreThanItMay) {
  const std::uint64_t size = kRows.size();
  put(kRows, {"default", "a", "fine-tune"}, 2 * size);
  const StoredFile second = put(kRows, {"default", "b", "fine-tune"}, 2 * size);
  const std::string why = test::message_of<StorageFull>([&] { put("x", {"default", "c", "batch"}, 2 * size); });
  EXPECT_NE(why.find(fmt::format("keeps {} bytes and this file has 1 more; it may keep {}", 2 * size, 2 * size)),
            std::string::npos)
      << why;
  EXPECT_THROW(put(kRows, {"fresh", "c", "batch"}, size - 1), StorageFull);
  EXPECT_EQ(names_in(state.files()).size(), 2U);
  EXPECT_EQ(put(kRows, {"other", "c", "batch"}, size).bytes, static_cast<std::int64_t>(size));
  EXPECT_TRUE(store.remove("default", second.id));
  EXPECT_EQ(store.used("default"), size);
  put("x", {"default", "c", "batch"}, 2 * size);
}

TEST_F(FileStoreTest, RemovesRecordAndBytes) {
  const StoredFile file = put();
  EXPECT_TRUE(store.remove("default", file.id));
  EXPECT_FALSE(store.remove("default", file.id));
  EXPECT_FALSE(store.get("default", file.id));
  EXPECT_TRUE(fs::is_empty(state.files()));
  EXPECT_EQ(database.number("SELECT count(*) FROM files"), 0);
}

TEST_F(FileStoreTest, AFileWhoseTimeIsOverIsGone) {
  const StoredFile file = put(kRows, {"default", "a", "fine-tune", 3600});
  EXPECT_EQ(file.expires, file.created + 3600);
  EXPECT_EQ(store.clean(), 0U);
  database.run("UPDATE files SET expires = 1");
  EXPECT_FALSE(store.get("default", file.id));
  EXPECT_TRUE(store.list("default", {}).files.empty());
  store.clean();
  EXPECT_TRUE(fs::is_empty(state.files()));
  EXPECT_EQ(store.used("default"), 0U);
}

TEST_F(FileStoreTest, CleansWhatAKilledProcessLeft) {
  const StoredFile kept = put(), removing = put(), lost = put();
  const Upload running(state.files());
  std::ofstream(state.files() / "upload-killed") << "half";
  std::ofstream(store.content("file-000000000000000000000000")) << "renamed, but without a record";
  std::ofstream(state.files() / "removed-file-000000000000000000000001") << "removed, but not unlinked";
  std::ofstream(state.files() / "note") << "not the store's";
  fs::rename(store.content(removing.id), state.files() / ("removed-" + removing.id));  // killed before the commit
  fs::remove(store.content(lost.id));
  store.clean();
  std::vector<std::string> left = {kept.id, removing.id, "note", running.path().filename().string()};
  std::ranges::sort(left);
  EXPECT_EQ(names_in(state.files()), left);
  EXPECT_TRUE(store.get("default", removing.id));
  EXPECT_FALSE(store.get("default", lost.id));
}

TEST_F(FileStoreTest, TwoStoresOfOneFolderCleanBesideEachOther) {
  Database other = state.open();
  FileStore second(other, state);
  Upload upload(state.files());
  upload.write(kRows);
  EXPECT_EQ(second.clean(), 0U);
  const StoredFile file = store.create({"default", "a", "fine-tune"}, upload, kPlenty);
  EXPECT_EQ(second.clean(), 0U);
  EXPECT_TRUE(second.get("default", file.id));
}

class FileStoreOnASmallDisk : public test::SmallDisk {};

TEST_F(FileStoreOnASmallDisk, AFullDiskLeavesNothing) {
  if (!mounted_) return;
  State state(folder_.path() / "state");
  // The database needs most of a disk of 64 KiB, so it stays outside.
  const test::TempFolder elsewhere;
  Database database = State(elsewhere.path()).open();
  FileStore store(database, state);
  {
    Upload upload(state.files());
    upload.write("label\ttext\nx\ty\n");
    EXPECT_THROW(upload.write(std::string(80'000, 'x')), IoError);
  }
  EXPECT_TRUE(fs::is_empty(state.files()));
  Upload upload(state.files());
  upload.write("label\ttext\nx\ty\n");
  EXPECT_EQ(store.create({"default", "a", "fine-tune"}, upload, kPlenty).report->rows, 1);
}

}  // namespace
}  // namespace qing::serve
