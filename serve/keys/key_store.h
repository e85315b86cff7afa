// API keys on disk: a SQLite database and beside it a file with the secret under which keys are hashed.
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

namespace qing::serve {

/// What a key may do; none of these holds another.
struct KeyScopes {
  bool predict = false;  ///< models' descriptions, predictions and explanations
  bool metrics = false;  ///< /metrics
  bool admin = false;    ///< changes to models

  bool allow(Scope scope) const;
  /// "predict,admin"
  std::string text() const;
  /// The other way; ValueError on another word, or none.
  static KeyScopes parse(std::string_view text);
};

/// In a calendar minute and a calendar day, in UTC; 0: no limit.
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
  std::int64_t expires = 0;  ///< seconds since 1970; 0: never
};

/// What a key did on a day.
struct KeyUsage {
  std::string id;
  std::int64_t day = 0;  ///< days since 1970, in UTC
  std::int64_t requests = 0, tokens = 0;
};

/// A key is "id.secret": 16 and 64 hexadecimal digits, 64 and 256 random bits. The store has the id and
/// HMAC-SHA-256(pepper, "id.secret"); the pepper is in FILE.pepper, which only its owner can read, so that neither the
/// database nor the pepper alone is enough to try keys on.
///
/// Many processes may have a store open. A change is on the disk when the function that made it returns, or it has not
/// happened. Functions throw IoError when the disk does not do what it should. For one thread at a time.
class KeyStore {
 public:
  /// Seconds since 1970.
  using Clock = std::function<std::int64_t()>;
  static std::int64_t system_time();

  /// Whether the file is a SQLite database.
  static bool is_database(const std::filesystem::path& file);
  /// DataError when the database is damaged, no store of keys of this version, or hashed under another pepper.
  static void check_database(Database& database, const KeyDigest& pepper);
  /// `create` makes a store where there is no file. IoError when there is none otherwise, when others than owner and
  /// group can read the pepper, and when it is lost; DataError when the file is something else, or the pepper not its.
  explicit KeyStore(const std::filesystem::path& file, bool create = false, Clock clock = system_time);

  /// A new key: the only time that it is seen. ValueError on a name, quota or expiry that cannot be.
  std::string create(const NewKey& key);
  /// Another secret for a key, whose older ones end after `overlap` seconds at the latest. ValueError on an id that is
  /// not known, a key that was revoked or has expired, and a negative overlap.
  std::string rotate(std::string_view id, std::int64_t overlap);
  /// Ends a key. Again: nothing happens. ValueError on an id that is not known.
  void revoke(std::string_view id);
  /// All keys, the oldest first, with the secrets that are still good.
  std::vector<StoredKey> keys();
  /// Adds to the accounts, all or nothing.
  void add_usage(const std::vector<KeyUsage>& usage);
  /// The accounts of a day and of those after it, by day and id.
  std::vector<KeyUsage> usage(std::int64_t from_day);

  /// Grows when another connection has changed the store.
  std::int64_t version() { return database_.number("PRAGMA data_version"); }
  /// Of whatever was sent as a key.
  KeyDigest digest(std::string_view key) const;
  /// The id of a well-formed key; empty for another text.
  static std::string_view id_of(std::string_view key);

 private:
  static bool initialized(Database& database);
  static void check_pepper(Database& database, const KeyDigest& pepper);
  std::string add_secret(std::string_view id, std::int64_t now);
  StoredKey find(std::string_view id);
  std::vector<StoredKey> select(std::string_view id);

  Clock clock_;
  Database database_;
  KeyDigest pepper_{};
};

}  // namespace qing::serve
