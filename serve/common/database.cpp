#include "database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

constexpr std::chrono::milliseconds kPatience{10'000};

// SQLite gives its journals the database's mode. The file is opened here only if that makes it: closing another
// descriptor of a database in use would take away SQLite's locks on it (POSIX locks belong to the process).
void make_private(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0 && errno != EEXIST) throw IoError(fmt::format("{}: {}", file.string(), std::strerror(errno)));
  if (fd >= 0) ::close(fd);
}

}  // namespace

Database::Database(const std::filesystem::path& file, Mode mode) : file_(file) {
  if (mode == Mode::kCreate) make_private(file);
  sqlite3* handle = nullptr;
  const int flags = (mode == Mode::kRead ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(file.c_str(), &handle, flags, nullptr);
  handle_.reset(handle);
  if (handle == nullptr) throw IoError(fmt::format("{}: {}", file.string(), sqlite3_errstr(code)));
  if (code != SQLITE_OK) fail();
  sqlite3_busy_timeout(handle, static_cast<int>(kPatience.count()));
}

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

void Database::fail() const {
  // A file whose folder cannot be searched may be there.
  if (std::error_code why; !std::filesystem::exists(file_, why) && !why) {
    throw IoError(fmt::format("{}: there is no such file; check its name", file_.string()));
  }
  throw IoError(fmt::format("{}: {}; check the file, its folder's permissions and the disk's room", file_.string(),
                            sqlite3_errmsg(handle_.get())));
}

void Database::run(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail();
}

Statement Database::prepare(std::string_view sql) {
  sqlite3_stmt* handle = nullptr;
  if (sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &handle, nullptr) != SQLITE_OK) {
    fail();
  }
  return Statement(*this, handle);
}

int Database::patiently(const std::function<int()>& step) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  int code = SQLITE_OK;
  while (((code = step()) == SQLITE_BUSY || code == SQLITE_LOCKED) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return code;
}

void Database::use_log() {
  const int code =
      patiently([this] { return sqlite3_exec(handle_.get(), "PRAGMA journal_mode=WAL", nullptr, nullptr, nullptr); });
  if (code != SQLITE_OK) fail();
}

void Database::copy_to(Database& other) {
  sqlite3_backup* const backup = sqlite3_backup_init(other.handle_.get(), "main", handle_.get(), "main");
  if (backup == nullptr) other.fail();
  // All pages in one step: between two the source could change, and the copy would begin again.
  const int code = patiently([backup] { return sqlite3_backup_step(backup, -1); });
  const int end = sqlite3_backup_finish(backup);
  if (code == SQLITE_DONE && end == SQLITE_OK) return;
  throw IoError(fmt::format("{}: cannot be copied to {}: {}; check both folders' permissions and the disk's room",
                            file_.string(), other.file_.string(), sqlite3_errstr(code == SQLITE_DONE ? end : code)));
}

std::string Database::damage() {
  Statement check = prepare("PRAGMA integrity_check");
  std::string result = check.step() ? check.text(0) : "has no content";
  if (result == "ok") return {};
  // A page that cannot be read, for lack of memory or by a fault of the disk, is reported as damage, with SQLite's
  // code.
  constexpr std::string_view kCode = "error code=";
  if (const size_t at = result.find(kCode); at != std::string::npos) {
    const int code = std::atoi(result.c_str() + at + kCode.size()) & 0xff;
    if (code == SQLITE_NOMEM || code == SQLITE_IOERR) {
      throw IoError(fmt::format("{}: cannot be checked: {}", file_.string(), sqlite3_errstr(code)));
    }
  }
  return result;
}

std::int64_t Database::number(std::string_view sql) {
  Statement statement = prepare(sql);
  return statement.step() ? statement.number(0) : 0;
}

void Statement::Finalize::operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }

void Statement::check(int code) const {
  if (code != SQLITE_OK) database_.fail();
}

Statement& Statement::bind(int parameter, std::int64_t value) {
  check(sqlite3_bind_int64(handle_.get(), parameter, value));
  return *this;
}

Statement& Statement::bind(int parameter, std::string_view text) {
  const char* const data = text.data() == nullptr ? "" : text.data();  // a null pointer would bind NULL
  check(sqlite3_bind_text(handle_.get(), parameter, data, static_cast<int>(text.size()), SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::bind(int parameter, std::span<const unsigned char> bytes) {
  check(sqlite3_bind_blob(handle_.get(), parameter, bytes.data(), static_cast<int>(bytes.size()), SQLITE_TRANSIENT));
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(handle_.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) database_.fail();
  return code == SQLITE_ROW;
}

void Statement::run() {
  step();
  check(sqlite3_reset(handle_.get()));
}

bool Statement::changes() {
  const bool changed = step();
  if (changed) run();  // to its end
  return changed;
}

std::int64_t Statement::number(int column) const { return sqlite3_column_int64(handle_.get(), column); }

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(handle_.get(), column);
  const int size = sqlite3_column_bytes(handle_.get(), column);
  if (bytes == nullptr) {
    if (sqlite3_errcode(sqlite3_db_handle(handle_.get())) == SQLITE_NOMEM) database_.fail();
    return {};
  }
  return std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
}

Transaction::Transaction(Database& database) : database_(database), rollback_(database.prepare("ROLLBACK")) {
  database_.run("BEGIN IMMEDIATE");
}

// What made SQLite fail may have ended the transaction already.
Transaction::~Transaction() {
  if (open_) sqlite3_step(rollback_.handle_.get());
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

}  // namespace qing::serve
