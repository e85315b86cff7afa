#include "file_store.h"

#include <openssl/rand.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/common/draft.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kIdPrefix = "file-";
constexpr std::string_view kRemovedPrefix = "removed-";  // followed by the id, while a file is being removed
constexpr std::string_view kColumns = "id, project, name, purpose, bytes, created, expires, sha256, report";

std::int64_t microseconds_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}
std::int64_t seconds_now() { return microseconds_now() / 1'000'000; }

// 9 digits of the time and 15 random ones, of 62 digits in the order of their bytes. So ids sort by time.
std::string new_id(std::int64_t microseconds) {
  constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string time(9, '0');
  for (auto digit = time.rbegin(); digit != time.rend(); ++digit, microseconds /= 62) {
    *digit = kDigits[static_cast<size_t>(microseconds % 62)];
  }
  std::array<unsigned char, 15> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    throw IoError("file: OpenSSL has no random bytes; check its configuration");
  }
  std::string id = std::string(kIdPrefix) + time;
  for (const unsigned char byte : random) id += kDigits[byte % 62];
  return id;
}

StoredFile file_of(const Statement& row) {
  StoredFile file{row.text(0),   row.text(1),   row.text(2), row.text(3), row.number(4),
                  row.number(5), row.number(6), row.text(7), {}};
  if (const std::string report = row.text(8); !report.empty()) file.report = report_from_json(report);
  return file;
}

void rename_file(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  throw IoError(fmt::format("{}: cannot rename: {}", from.string(), std::strerror(errno)));
}

}  // namespace

StorageFull::StorageFull(std::uint64_t used, std::uint64_t more, std::uint64_t allowed)
    : Error(
          fmt::format("the project keeps {} bytes and this file has {} more; it may keep {}; delete files that are no "
                      "longer needed",
                      used, more, allowed)) {}

FileStore::FileStore(Database& database, const State& state) : database_(database), state_(state) {
  database_.run("PRAGMA secure_delete = ON");  // overwrites the text of removed records
}

StoredFile FileStore::create(const NewFile& file, Upload& upload, std::uint64_t allowed) {
  return *create(file, upload, allowed, [](const StoredFile&) { return true; });
}

std::optional<StoredFile> FileStore::create(const NewFile& file, Upload& upload, std::uint64_t allowed,
                                            const Along& along) {
  upload.sync();
  std::optional<DatasetReport> report;
  if (is_dataset(file.purpose)) report = examine_dataset(upload.path());
  Transaction transaction(database_);
  if (const std::uint64_t kept = used(file.project); upload.bytes() > allowed || kept > allowed - upload.bytes()) {
    throw StorageFull(kept, upload.bytes(), allowed);
  }
  StoredFile stored = insert(file, upload, std::move(report));
  record(
      database_,
      {.key = file.key, .project = file.project, .action = "file.create", .object = stored.id, .detail = file.purpose});
  if (!along(stored)) return std::nullopt;
  const fs::path path = content(stored.id);
  upload.keep_as(path);
  try {
    transaction.commit();
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
  return stored;
}

StoredFile FileStore::insert(const NewFile& file, const Upload& upload, std::optional<DatasetReport> report) {
  const std::int64_t now = microseconds_now();
  StoredFile stored{new_id(now),
                    file.project,
                    file.name,
                    file.purpose,
                    static_cast<std::int64_t>(upload.bytes()),
                    now / 1'000'000,
                    file.lifetime == 0 ? 0 : now / 1'000'000 + file.lifetime,
                    upload.sha256(),
                    std::move(report)};
  Statement statement =
      database_.prepare(fmt::format("INSERT INTO files({}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", kColumns));
  statement.bind(1, stored.id).bind(2, stored.project).bind(3, stored.name).bind(4, stored.purpose);
  statement.bind(5, stored.bytes).bind(6, stored.created).bind(7, stored.expires).bind(8, stored.sha256);
  statement.bind(9, stored.report ? to_json(*stored.report) : std::string()).run();
  return stored;
}

std::optional<StoredFile> FileStore::get(const std::string& project, const std::string& id) {
  Statement statement = database_.prepare(
      fmt::format("SELECT {} FROM files WHERE id = ? AND project = ? AND (expires = 0 OR expires > ?)", kColumns));
  statement.bind(1, id).bind(2, project).bind(3, seconds_now());
  if (!statement.step()) return std::nullopt;
  return file_of(statement);
}

FileStore::Page FileStore::list(const std::string& project, const ListOptions& options) {
  const bool down = options.newest_first;
  Statement statement = database_.prepare(fmt::format(
      "SELECT {} FROM files WHERE project = ? AND (expires = 0 OR expires > ?) AND (? = '' OR id {} ?3) AND "
      "(? = '' OR purpose = ?4) ORDER BY id {} LIMIT ?",
      kColumns, down ? "<" : ">", down ? "DESC" : "ASC"));
  statement.bind(1, project).bind(2, seconds_now()).bind(3, options.after).bind(4, options.purpose);
  statement.bind(5, static_cast<std::int64_t>(options.limit) + 1);
  Page page;
  while (statement.step()) {
    if (page.files.size() == options.limit) {
      page.has_more = true;
      break;
    }
    page.files.push_back(file_of(statement));
  }
  return page;
}

bool FileStore::remove(const std::string& project, const std::string& id, const std::string& key) {
  Transaction transaction(database_);
  if (!get(project, id)) return false;
  erase(transaction, id, {.key = key, .project = project, .action = "file.delete", .object = id});
  return true;
}

// Commits the transaction.
void FileStore::erase(Transaction& transaction, const std::string& id, const AuditEntry& entry) {
  database_.prepare("DELETE FROM files WHERE id = ?").bind_all(id).run();
  record(database_, entry);
  // The file is renamed first. If the record cannot be deleted, the file gets its name back.
  const fs::path path = content(id), removed = state_.files() / (std::string(kRemovedPrefix) + id);
  const bool there = fs::exists(path);
  if (there) rename_file(path, removed);
  try {
    transaction.commit();
  } catch (...) {
    if (there) ::rename(removed.c_str(), path.c_str());
    throw;
  }
  ::unlink(removed.c_str());  // else clean() does it
}

size_t FileStore::remove_expired(std::int64_t now, size_t most, SweepPlace& place) {
  std::vector<std::pair<std::string, std::string>> over;  // project and id
  {
    Statement row = database_.prepare(
        "SELECT project, id, expires FROM files WHERE expires <> 0 AND expires <= ? AND (expires, id) > (?, ?) "
        "ORDER BY expires, id LIMIT ?");
    row.bind_all(now, place.expires, place.id, static_cast<std::int64_t>(most));
    SweepPlace end;
    while (row.step()) {
      over.emplace_back(row.text(0), row.text(1));
      end = {row.number(2), row.text(1)};
    }
    place = over.size() < most ? SweepPlace() : std::move(end);
  }
  size_t count = 0;
  std::exception_ptr failure;
  for (const auto& [project, id] : over) {
    try {
      Transaction transaction(database_);
      if (!exists(id)) continue;  // another process was faster
      erase(transaction, id, {.project = project, .action = "file.expire", .object = id});
      ++count;
    } catch (const IoError&) { failure = std::current_exception(); }
  }
  if (failure) std::rethrow_exception(failure);
  return count;
}

std::int64_t FileStore::count(const std::string& project) {
  Statement statement = database_.prepare("SELECT count(*) FROM files WHERE project = ?");
  statement.bind(1, project);
  statement.step();
  return statement.number(0);
}

std::uint64_t FileStore::used(const std::string& project) {
  Statement statement = database_.prepare("SELECT coalesce(sum(bytes), 0) FROM files WHERE project = ?");
  statement.bind(1, project);
  statement.step();
  return static_cast<std::uint64_t>(statement.number(0));
}

bool FileStore::exists(const std::string& id) {
  return database_.prepare("SELECT 1 FROM files WHERE id = ?").bind(1, id).step();
}

size_t FileStore::clean() {
  SweepPlace from_the_beginning;
  size_t count = remove_expired(seconds_now(), std::numeric_limits<std::int64_t>::max(), from_the_beginning);
  std::vector<std::string> lost;  // ids of records without bytes
  {
    Statement row = database_.prepare("SELECT id FROM files");
    while (row.step()) {
      const std::string id = row.text(0);
      if (!is_there(content(id)) && !is_there(state_.files() / (std::string(kRemovedPrefix) + id))) lost.push_back(id);
    }
  }
  for (const std::string& id : lost) {
    // In a transaction no other process is about to store or remove a file.
    Transaction transaction(database_);
    database_.prepare("DELETE FROM files WHERE id = ?").bind_all(id).run();
    transaction.commit();
    ++count;
  }
  std::error_code none;
  std::vector<fs::path> paths;
  for (const auto& entry : entries_of(state_.files(), none)) paths.push_back(entry.path());
  for (const fs::path& path : paths) {
    const std::string name = path.filename().string();
    if (name.starts_with(Upload::kPrefix)) {
      count += remove_if_abandoned(path) ? 1 : 0;
      continue;
    }
    const bool removed = name.starts_with(kRemovedPrefix);
    if (!removed && !name.starts_with(kIdPrefix)) continue;
    const std::string id = removed ? name.substr(kRemovedPrefix.size()) : name;
    const Transaction transaction(database_);
    if (!exists(id)) {
      count += ::unlink(path.c_str()) == 0 ? 1 : 0;
    } else if (removed) {
      rename_file(path, content(id));
    }
  }
  return count;
}

}  // namespace qing::serve
