// The files that users uploaded: records in the state's database, bytes in its folder of files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/common/database.h>
#include <qing/serve/files/dataset.h>
#include <qing/serve/files/upload.h>
#include <qing/serve/state/audit.h>
#include <qing/serve/state/state.h>

namespace qing::serve {

struct StoredFile {
  std::string id;       ///< "file-" and 24 letters and digits; a later file has a greater id
  std::string project;  ///< owns the file
  std::string name;     ///< as it was uploaded: UTF-8 without control characters
  std::string purpose;
  std::int64_t bytes = 0;
  std::int64_t created = 0;             ///< seconds since 1970
  std::int64_t expires = 0;             ///< likewise; 0: never
  std::string sha256;                   ///< 64 hexadecimal digits
  std::optional<DatasetReport> report;  ///< of a file with labelled rows: see FileStore::is_dataset()
  bool usable() const { return !report || report->rows > 0; }
};

/// The record of a new file.
struct NewFile {
  std::string project, name, purpose;
  std::int64_t lifetime = 0;  ///< seconds; 0: for ever
  std::string key = {};       ///< id of the uploader's key, for the audit log; empty: the server
};

/// A file would exceed what its project may keep. Nothing was stored.
class StorageFull : public Error {
 public:
  StorageFull(std::uint64_t used, std::uint64_t more, std::uint64_t allowed);
};

/// All functions throw IoError and then have changed nothing. Files of other projects and expired files are treated as
/// absent. For one thread at a time. Other stores of the same state may be used meanwhile, also in other processes.
class FileStore {
 public:
  /// `database` is that of the state. Both must outlive the store.
  FileStore(Database& database, const State& state);

  /// Whether the rows of a file of this purpose are labelled texts, which are examined when it is stored.
  static bool is_dataset(std::string_view purpose) { return purpose == "fine-tune" || purpose == "evals"; }

  /// Stores the bytes of the upload. They are on the disk before this returns. StorageFull when the project would keep
  /// more than `allowed` bytes.
  StoredFile create(const NewFile& file, Upload& upload, std::uint64_t allowed);
  /// Stores what belongs to a new file. Returns false if neither is to be stored.
  using Along = std::function<bool(const StoredFile&)>;
  /// As above. `along` is called in the file's transaction: what it changes is stored with the file or not at all. When
  /// it returns false or throws, nothing is stored.
  std::optional<StoredFile> create(const NewFile& file, Upload& upload, std::uint64_t allowed, const Along& along);
  std::optional<StoredFile> get(const std::string& project, const std::string& id);

  struct ListOptions {
    std::string after = {};    ///< id of the last file of the page before; it may have been removed since
    std::string purpose = {};  ///< empty: any
    bool newest_first = true;
    size_t limit = 10'000;
  };
  struct Page {
    std::vector<StoredFile> files;
    bool has_more = false;
  };
  Page list(const std::string& project, const ListOptions& options);
  /// Removes the record and the bytes, and returns whether the file existed. `key` is the id of the caller's key, for
  /// the audit log.
  bool remove(const std::string& project, const std::string& id, const std::string& key = {});
  /// The position of a sweep over the expired files: after the file that it looked at last.
  struct SweepPlace {
    std::int64_t expires = 0;  ///< 0: at the beginning
    std::string id = {};
  };
  /// Removes files whose time is over at `now` (seconds since 1970). Looks at no more than `most` from the sweep's
  /// place on, the longest expired first, and moves the place on: files that cannot be removed hold up no others, and
  /// the sweep comes back to them when it has reached the end. Each removed file gets an entry in the audit log.
  /// Returns their number. IoError, after the others were removed.
  size_t remove_expired(std::int64_t now, size_t most, SweepPlace& place);
  std::int64_t count(const std::string& project);
  /// Bytes that the project keeps.
  std::uint64_t used(const std::string& project);
  /// The path of the bytes, where jobs read them. Reading fails with IoError if the file was removed meanwhile.
  std::filesystem::path content(const std::string& id) const { return state_.files() / id; }
  /// Cleans up after killed processes: removes bytes without a record and records without bytes. Removes expired files.
  /// Returns the number of removed files.
  size_t clean();

 private:
  StoredFile insert(const NewFile& file, const Upload& upload, std::optional<DatasetReport> report);
  bool exists(const std::string& id);
  void erase(Transaction& transaction, const std::string& id, const AuditEntry& entry);

  Database& database_;
  const State& state_;
};

}  // namespace qing::serve
