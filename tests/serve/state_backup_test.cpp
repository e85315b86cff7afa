// Backup and restore of a state, export and deletion of a project, and the archives they use.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include <fmt/format.h>

#include <qing/serve/common/draft.h>
#include <qing/serve/files/file_store.h>
#include <qing/serve/jobs/job_store.h>
#include <qing/serve/maintenance/project_data.h>
#include <qing/serve/maintenance/state_backup.h>
#include <qing/serve/maintenance/tar_archive.h>
#include <qing/serve/state/audit.h>
#include <qing/serve/state/feedback.h>
#include <qing/tensor/errors.h>

#include "../nn/temp_folder.h"
#include "small_disk.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using test::content_of;

std::set<std::string> names_below(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) names.insert(entry.path().lexically_relative(folder).string());
  }
  return names;
}

class StateBackup : public ::testing::Test {
 protected:
  std::string add_file(const std::string& project, const std::string& content) {
    Database database = state.open();
    Upload upload(state.files());
    upload.write(content);
    return FileStore(database, state).create({project, "a.txt", "other"}, upload, 1 << 20).id;
  }
  // A finished job with its model.
  std::string add_job(const std::string& project, JobStatus status = JobStatus::kSucceeded) {
    Database database = state.open();
    const TrainingJob job = JobStore(database).create({.project = project, .base = "scratch"}, "x", {}, {});
    JobStore(database).advance(job.id, {JobStatus::kValidating}, status, "over");
    for (const fs::path& folder : {state.jobs() / job.id, state.models() / job.model / "1"}) {
      fs::create_directories(folder);
      std::ofstream(folder / "data") << project << " secret data";
    }
    database.prepare("INSERT INTO models(name, project, job, created) VALUES(?, ?, ?, 1)")
        .bind(1, job.model)
        .bind(2, project)
        .bind(3, job.id)
        .run();
    return job.id;
  }
  void add_feedback(const std::string& project) {
    Database database = state.open();
    FeedbackStore(database).add(
        {.project = project, .model = "mood", .version = 1, .request = "r", .text = project + " text"});
    record(database, {.project = project, .action = "file.create"});
  }
  static std::int64_t count(const State& of, const std::string& table) {
    Database database = of.open();
    return database.number("SELECT count(*) FROM " + table);
  }

  test::TempFolder folder;
  const State state{folder.path() / "state"};
  const fs::path archive = folder.path() / "backup.tar";
  const State restored{folder.path() / "restored"};
};

TEST_F(StateBackup, HasAllAndIsRestored) {
  const std::string file = add_file("a", "hello"), job = add_job("a"), running = add_job("a", JobStatus::kRunning);
  add_feedback("a");
  std::ofstream(state.models() / ".registry.json") << "{}";
  std::ofstream(state.files() / "upload-left") << "x";
  back_up_state(state, archive);
  EXPECT_EQ(fs::status(archive).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(std::system(fmt::format("tar tf {} > {}", archive.string(), (folder.path() / "list").string()).c_str()), 0)
      << "tar reads it";
  restore_state(archive, restored);
  EXPECT_EQ(content_of(restored.files() / file), "hello");
  EXPECT_EQ(content_of(restored.jobs() / job / "data"), "a secret data");
  EXPECT_FALSE(fs::exists(restored.jobs() / running)) << "a running job begins again";
  EXPECT_EQ(content_of(restored.models() / ".registry.json"), "{}");
  EXPECT_FALSE(fs::exists(restored.files() / "upload-left"));
  EXPECT_EQ(count(restored, "jobs"), 2);
  EXPECT_EQ(count(restored, "feedback"), 1);
  EXPECT_EQ(fs::status(restored.folder()).permissions(), fs::perms::owner_all);
  for (const auto& entry : fs::directory_iterator(state.folder())) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(".backup")) << entry.path();
  }
}

TEST_F(StateBackup, IsConsistentWhileFilesComeAndGo) {
  for (int i = 0; i < 20; ++i) add_file("a", fmt::format("first {}", i));
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    Database database = state.open();
    FileStore store(database, state);
    for (int i = 0; !stop; ++i) {
      Upload upload(state.files());
      upload.write(fmt::format("more {}", i));
      const std::string id = store.create({"a", "b.txt", "other"}, upload, 1 << 20).id;
      if (i % 3 != 0) store.remove("a", id);
    }
  });
  for (int i = 0; i < 5; ++i) {
    const fs::path file = folder.path() / fmt::format("{}.tar", i);
    const State to{folder.path() / fmt::format("to{}", i)};
    back_up_state(state, file);
    restore_state(file, to);
    Database database = to.open();
    Statement row = database.prepare("SELECT id, bytes FROM files");
    while (row.step()) {
      ASSERT_TRUE(fs::exists(to.files() / row.text(0)));
      EXPECT_EQ(static_cast<std::int64_t>(fs::file_size(to.files() / row.text(0))), row.number(1));
    }
  }
  stop = true;
  writer.join();
}

TEST_F(StateBackup, RefusesWhatItMustNotReplace) {
  add_file("a", "hello");
  back_up_state(state, archive);
  const std::string before = content_of(archive);
  EXPECT_THROW(back_up_state(state, archive), IoError);
  EXPECT_EQ(content_of(archive), before);
  EXPECT_THROW(restore_state(archive, state), IoError) << "not empty";
  EXPECT_THROW(back_up_state(restored, folder.path() / "none.tar"), IoError);
  EXPECT_FALSE(fs::exists(folder.path() / "none.tar"));
  fs::create_directory(restored.folder());
  restore_state(archive, restored);  // empty
  EXPECT_EQ(count(restored, "files"), 1);
}

TEST_F(StateBackup, EveryDamagedArchiveIsRefusedWithNothingLeft) {
  add_file("a", "hello hello hello");
  back_up_state(state, archive);
  const std::string whole = content_of(archive);
  const fs::path damaged = folder.path() / "damaged.tar";
  int refused = 0, harmless = 0;
  const auto check = [&](const std::string& bytes) {
    std::ofstream(damaged, std::ios::binary) << bytes;
    try {
      restore_state(damaged, restored);
      ++harmless;  // a byte of padding or of a header's date, owner or mode with its checksum
      fs::remove_all(restored.folder());
    } catch (const DataError&) { ++refused; }
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      EXPECT_EQ(entry.path().string().find("restore"), std::string::npos) << entry.path();
    }
  };
  for (size_t size = 0; size + 1024 < whole.size(); size += 997) check(whole.substr(0, size));
  EXPECT_EQ(harmless, 0);
  std::string hello = whole;
  hello[whole.find("hello hello")] = 'H';
  check(hello);
  EXPECT_EQ(harmless, 0);
  for (size_t at = 0; at < whole.size(); at += 4099) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    check(changed);
  }
  EXPECT_GT(refused, 20);
}

TEST_F(StateBackup, AnArchiveCannotLeadOutOfItsFolder) {
  for (const char* name : {"../x", "/tmp/x", "a/../../x", "a//b", "./a", "a/.", "a\\b"}) {
    const fs::path file = folder.path() / "bad.tar";
    fs::remove(file);
    TarWriter writer(file);
    writer.add(name, "x");
    writer.close("qing state", 1);
    EXPECT_THROW(extract_tar(file, folder.path() / "out"), DataError) << name;
    EXPECT_FALSE(fs::exists(folder.path() / "out"));
    EXPECT_FALSE(fs::exists(folder.path() / "x"));
  }
}

TEST_F(StateBackup, LongNamesAreSplitOrRefused) {
  TarWriter writer(archive);
  const std::string folder_name(128, 'm'), rest(99, 'r');
  writer.add("models/" + folder_name + "/" + rest, "content");
  EXPECT_THROW(writer.add(std::string(101, 'x'), "x"), ValueError);
  writer.close("x", 1);
  extract_tar(archive, folder.path() / "out");
  EXPECT_EQ(content_of(folder.path() / "out/models" / folder_name / rest), "content");
}

TEST_F(StateBackup, AnArchiveWithoutItsEndLeavesNothing) {
  { TarWriter(archive).add("a", "b"); }
  EXPECT_TRUE(names_below(folder.path()).empty());
}

TEST_F(StateBackup, AProjectIsExportedWithoutOthers) {
  const std::string file = add_file("a", "of a");
  add_file("b", "of b");
  const std::string job = add_job("a");
  add_job("b");
  add_feedback("a");
  add_feedback("b");
  const ProjectRows rows = export_project(state, "a", archive);
  EXPECT_EQ(rows.at("files"), 1);
  EXPECT_EQ(rows.at("jobs"), 1);
  EXPECT_EQ(rows.at("feedback"), 1);
  const fs::path out = folder.path() / "out";
  EXPECT_EQ(extract_tar(archive, out).format, "qing project");
  EXPECT_EQ(content_of(out / "files" / file), "of a");
  EXPECT_EQ(content_of(out / "jobs" / job / "data"), "a secret data");
  EXPECT_NE(content_of(out / "feedback.jsonl").find("a text"), std::string::npos);
  for (const std::string& name : names_below(out)) {
    const std::string content = content_of(out / name);
    EXPECT_EQ(content.find("of b"), std::string::npos) << name;
    EXPECT_EQ(content.find("b secret"), std::string::npos) << name;
    EXPECT_EQ(content.find("\"project\":\"b\""), std::string::npos) << name;
  }
  EXPECT_THROW(export_project(state, "../x", folder.path() / "y.tar"), ValueError);
}

TEST_F(StateBackup, AnExportLetsOthersWriteMeanwhile) {
  const std::string file = add_file("a", "of a"), job = add_job("a");
  {
    Database database = state.open();
    const fs::path model = state.models() / JobStore(database).find(job)->model / "1/large";
    std::ofstream(model) << "x";
    fs::resize_file(model, 192 << 20);  // takes some time
  }
  std::atomic<bool> done = false;
  std::thread exporter([&] {
    export_project(state, "a", archive);
    done = true;
  });
  // The rows come first in the archive.
  const auto begun = [&] {
    return std::ranges::any_of(test::names_in(folder.path()), [&](const std::string& name) {
      std::error_code gone;
      return name.find(".draft-") != name.npos && fs::file_size(folder.path() / name, gone) > 512 && !gone;
    });
  };
  while (!begun() && !done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const std::string later = add_file("a", "later");
  {
    Database database = state.open();
    EXPECT_TRUE(FileStore(database, state).remove("a", file));
  }
  EXPECT_FALSE(done) << "writers have waited for the export";
  exporter.join();
  const fs::path out = folder.path() / "out";
  extract_tar(archive, out);
  EXPECT_EQ(content_of(out / "files" / file), "of a") << "as it was when the export began";
  EXPECT_FALSE(fs::exists(out / "files" / later));
  EXPECT_EQ(content_of(out / "files.jsonl").find(later), std::string::npos);
  EXPECT_NE(content_of(out / "files.jsonl").find(file), std::string::npos);
  for (const std::string& name : test::names_in(state.folder())) EXPECT_FALSE(name.starts_with(".backup-")) << name;
}

TEST_F(StateBackup, DraftsOfKilledCommandsAreRemovedAndThoseInUseStay) {
  add_file("a", "hello");
  const auto left_archive = [&](const std::string& name) {
    const fs::path file = folder.path() / name;
    TarWriter writer(folder.path() / "killed.tar");
    writer.add("x", "y");
    for (const std::string& draft : test::names_in(folder.path())) {
      if (draft.starts_with(".qing-killed.tar.draft-")) fs::copy_file(folder.path() / draft, file);
    }
    return file;
  };
  const fs::path mine = left_archive("mine.tar.draft-abcdEF12"),
                 yesterday = left_archive(".qing-yesterday.tar.draft-abcdEF12");
  const fs::path other = folder.write(".qing-keys.db.draft-12345678", "SQLite format 3");
  TarWriter used(folder.path() / "used.tar");
  used.add("x", "y");
  const fs::path snapshot = draft_name(state.folder() / ".backup-"),
                 restore = draft_name(restored.folder().parent_path() /
                                      ("." + restored.folder().filename().string() + ".restore-"));
  for (const fs::path& path : {snapshot, restore}) fs::create_directories(path / "files");
  back_up_state(state, archive);
  EXPECT_FALSE(fs::exists(yesterday));
  EXPECT_FALSE(fs::exists(snapshot));
  EXPECT_TRUE(fs::exists(mine)) << "not a name of a draft";
  EXPECT_TRUE(fs::exists(other)) << "not an archive";
  restore_state(archive, restored);
  EXPECT_FALSE(fs::exists(restore));
  used.close("x", 1);
  EXPECT_TRUE(fs::exists(folder.path() / "used.tar"));
}

TEST_F(StateBackup, ADeletedProjectLeavesNoTraceButTheAuditLog) {
  add_file("a", "a secret file");
  const std::string kept = add_file("b", "of b");
  add_job("a");
  add_job("b");
  add_feedback("a");
  add_feedback("b");
  std::ofstream(state.folder() / "qing.db.before-1") << "a text";
  const fs::path left = draft_name(state.folder() / ".backup-");
  fs::create_directory(left);
  std::ofstream(left / "x") << "a secret of a snapshot that was killed";
  const ProjectRows rows = delete_project(state, "a");
  EXPECT_EQ(rows.at("files"), 1);
  EXPECT_GE(rows.at("job_events"), 1);
  for (const std::string& name : names_below(state.folder())) {
    const std::string content = content_of(state.folder() / name);
    for (const char* trace : {"a secret", "a text"}) EXPECT_EQ(content.find(trace), std::string::npos) << name;
  }
  EXPECT_EQ(content_of(state.files() / kept), "of b");
  for (const char* table : {"files", "jobs", "models", "feedback"}) EXPECT_EQ(count(state, table), 1) << table;
  Database database = state.open();
  const auto entries = audit_entries(database, {.project = "a"});
  ASSERT_FALSE(entries.empty());
  EXPECT_EQ(entries[0].action, "project.delete");
  EXPECT_TRUE(std::ranges::any_of(entries, [](const AuditEntry& entry) { return entry.action == "file.create"; }));
  EXPECT_TRUE(delete_project(state, "a").empty()) << "again";
}

TEST_F(StateBackup, AProjectWithARunningJobIsNotDeleted) {
  const std::string file = add_file("a", "x");
  add_job("a", JobStatus::kRunning);
  EXPECT_THROW(delete_project(state, "a"), ValueError);
  EXPECT_TRUE(fs::exists(state.files() / file));
  EXPECT_EQ(count(state, "files"), 1);
}

TEST_F(StateBackup, EveryTableWithAProjectIsDeletedAndExported) {
  Database database = state.open();
  Statement table = database.prepare(
      "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c ON c.name = 'project' WHERE m.type = "
      "'table'");
  const std::set<std::string> known{"files",           "jobs",       "models", "feedback", "promotions", "trial_plans",
                                    "evaluation_sets", "retraining", "audit"};
  std::set<std::string> found;
  while (table.step()) found.insert(table.text(0));
  EXPECT_EQ(found, known) << "add a new table to kTables in project_data.cpp, and here";
}

}  // namespace
}  // namespace qing::serve
