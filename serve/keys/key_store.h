// API keys on disk: a SQLite database, and a separate file with the secret for hashing the keys.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/common/database.h>
#include <qing/serve/http/router.h>
#include <qing/serve/keys/gatekeeper.h>

namespace qing::serve {

/// The word for a scope that a key can have: "predict", "metrics" or "admin".
std::string_view name_of(Scope scope);

/// The permissions of a key. They are independent of each other.
struct KeyScopes {
  bool predict = false;  ///< models' descriptions, predictions and explanations
  bool metrics = false;  ///< /metrics
  bool admin = false;    ///< changes to models

  bool allow(Scope scope) const;
  /// "predict,admin"
  std::string text() const;
  /// The inverse of text(). ValueError for an unknown word or an empty text.
  static KeyScopes parse(std::string_view text);
};

/// Limits per calendar minute and calendar day in UTC; 0: no limit.
struct KeyQuotas {
  std::int64_t requests_per_minute = 0, requests_per_day = 0, tokens_per_minute = 0, tokens_per_day = 0;
};

/// HMAC-SHA-256 of a key.
using KeyDigest = std::array<unsigned char, 32>;

struct StoredKey {
  struct Secret {
    KeyDigest digest;
    std::int64_t expires;  ///< 0: never
  };
  std::string id, name;
  std::string project;  ///< the owner of what is made with the key
  KeyScopes scopes;
  KeyQuotas quotas;
  std::int64_t created = 0, expires = 0, revoked = 0;  ///< seconds since 1970; 0: never
  std::vector<Secret> secrets;                         ///< more than one after a rotation

  bool valid(std::int64_t now) const { return revoked == 0 && (expires == 0 || now < expires); }
};

struct NewKey {
  std::string name = {};  ///< for people; up to 200 bytes of UTF-8 without control characters
  KeyScopes scopes = {.predict = true};
  KeyQuotas quotas = {};
  std::int64_t expires = 0;                                        ///< seconds since 1970; 0: never
  std::string project = std::string(Gatekeeper::kDefaultProject);  ///< as KeyStore::valid_project() allows
};

/// The usage of a key on one day.
struct KeyUsage {
  std::string id;
  std::int64_t day = 0;  ///< days since 1970, in UTC
  std::int64_t requests = 0, tokens = 0;
};

/// A key is "id.secret": 16 and 64 hexadecimal digits, 64 and 256 random bits. The store has the id and
/// HMAC-SHA-256(pepper, "id.secret"). The pepper is in FILE.pepper, which only its owner can read. An attacker needs
/// both the database and the pepper to test guesses.
///
/// Not thread-safe. Several processes may have one store open. A change is on disk when its function returns; a failed
/// change has no effect. All functions throw IoError when the disk fails.
class KeyStore {
 public:
  static constexpr std::int64_t kVersion = 2;  ///< of the tables; version 1 had no projects

  /// Seconds since 1970.
  using Clock = std::function<std::int64_t()>;
  static std::int64_t system_time();

  /// Whether the file is a SQLite database.
  static bool is_database(const std::filesystem::path& file);
  /// 1 to 64 characters of A-Z a-z 0-9 . _ - without a leading dot, so that a project can name a file.
  static bool valid_project(std::string_view name);
  /// DataError when the database is damaged, is not a key store, is that of a newer qing, or was hashed with another
  /// pepper. Older versions pass.
  static void check_database(Database& database, const KeyDigest& pepper);
  /// Turns the tables of an older version into those of this one, in one transaction. A key of version 1 belongs to the
  /// default project. DataError as check_database(), but for the pepper.
  static void migrate(Database& database);
  /// `create` makes a new store if the file is missing. A store of an older version is migrated, after it was copied
  /// to FILE.before-N, where N is the new version. IoError when the file is missing without `create`, when the
  /// pepper is missing, or when others than its owner and group can read it. DataError when the file is not a key
  /// store, is that of a newer qing, or the pepper belongs to another store.
  explicit KeyStore(const std::filesystem::path& file, bool create = false, Clock clock = system_time);

  /// Returns a new key, which cannot be shown again. ValueError for an invalid name, project, quota or
  /// expiry.
  std::string create(const NewKey& key);
  /// Adds a secret to a key. Its older secrets expire after at most `overlap` seconds. ValueError for an unknown id, a
  /// revoked or expired key, or a negative overlap.
  std::string rotate(std::string_view id, std::int64_t overlap);
  /// Revokes a key. Revoking it again does nothing. ValueError for an unknown id.
  void revoke(std::string_view id);
  /// All keys, oldest first, with their valid secrets.
  std::vector<StoredKey> keys();
  /// Adds to the usage counts, in one transaction.
  void add_usage(const std::vector<KeyUsage>& usage);
  /// The usage since a day, sorted by day and id.
  std::vector<KeyUsage> usage(std::int64_t from_day);

  /// Grows when another connection has changed the store.
  std::int64_t version() { return database_.number("PRAGMA data_version"); }
  /// The digest of any text that was sent as a key.
  KeyDigest digest(std::string_view key) const;
  /// The id of a well-formed key; empty for any other text.
  static std::string_view id_of(std::string_view key);

 private:
  static bool initialized(Database& database);
  static std::int64_t version_of(Database& database);
  static void check_pepper(Database& database, const KeyDigest& pepper);
  std::string add_secret(std::string_view id, std::int64_t now);
  StoredKey find(std::string_view id);
  std::vector<StoredKey> select(std::string_view id);

  Clock clock_;
  Database database_;
  KeyDigest pepper_{};
};

}  // namespace qing::serve
