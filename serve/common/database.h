// SQLite with exceptions: the little of it that the service needs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace qing::serve {

class Statement;

/// One connection. Every function throws IoError, which names the file, when SQLite does; for one thread at a time.
class Database {
 public:
  enum class Mode { kRead, kWrite, kCreate };

  /// kCreate makes a missing file, which only its owner can read. What is locked is waited for, up to 10 s.
  Database(const std::filesystem::path& file, Mode mode);

  /// Statements without results, with semicolons between.
  void run(const char* sql);
  Statement prepare(std::string_view sql);
  /// Readers and a writer do not wait for each other from now on, in any process (write-ahead log).
  void use_log();
  /// Makes `other` what this database is at one moment, in one transaction of each (SQLite's online backup): other
  /// connections of either may go on reading and writing. What is locked is waited for.
  void copy_to(Database& other);
  /// The first fault that SQLite finds in the whole file; empty if there is none. IoError if it cannot be looked at.
  std::string damage();
  /// The single number that `sql` returns.
  std::int64_t number(std::string_view sql);
  const std::filesystem::path& file() const { return file_; }
  [[noreturn]] void fail() const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  // SQLite does not wait for its other connections in every call, whatever the busy time-out. Repeats `step` meanwhile.
  static int patiently(const std::function<int()>& step);

  std::filesystem::path file_;
  std::unique_ptr<sqlite3, Close> handle_;
};

/// Parameters count from 1, columns from 0.
class Statement {
 public:
  Statement& bind(int parameter, std::int64_t value);
  Statement& bind(int parameter, std::string_view text);
  Statement& bind(int parameter, std::span<const unsigned char> bytes);
  /// Binds the values to the parameters 1, 2, ...
  template <class... Values> Statement& bind_all(const Values&... values) {
    int parameter = 0;
    return (bind(++parameter, values), ...);
  }
  /// Whether there is a row (more).
  bool step();
  /// A step that gives none; then the statement can be bound and run again.
  void run();
  /// Runs a change that returns a row if it changes one, and says whether it did.
  bool changes();
  std::int64_t number(int column) const;
  std::string text(int column) const;  ///< or bytes

 private:
  friend class Database;
  friend class Transaction;
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const;
  };
  Statement(Database& database, sqlite3_stmt* handle) : database_(database), handle_(handle) {}
  void check(int code) const;

  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

/// A transaction that holds the write lock from its start; rolled back unless committed.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  Statement rollback_;  // prepared before it is needed, since there may be no memory for it then
  bool open_ = true;
};

}  // namespace qing::serve
