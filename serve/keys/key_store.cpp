#include "key_store.h"

#include <algorithm>
#include <cstddef>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include <qing/nn/text/normalizer.h>
#include <qing/nn/utf8.h>
#include <qing/serve/common/characters.h>
#include <qing/serve/common/hmac.h>
#include <qing/serve/keys/pepper.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

constexpr size_t kIdBytes = 8, kSecretBytes = 32;
constexpr size_t kNameBytes = 200;
constexpr std::int64_t kApplication = 0x716b6579;  // "qkey", in the file's header
// The digest of this text under the pepper shows whether the pepper belongs to the store.
constexpr std::string_view kPepperCheck = "qing key store";

constexpr const char* kSchema = R"(
CREATE TABLE store(pepper_check BLOB NOT NULL) STRICT;
CREATE TABLE keys(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, scopes TEXT NOT NULL,
  requests_per_minute INTEGER NOT NULL, requests_per_day INTEGER NOT NULL,
  tokens_per_minute INTEGER NOT NULL, tokens_per_day INTEGER NOT NULL,
  created INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER NOT NULL,
  project TEXT NOT NULL DEFAULT 'default') STRICT;
CREATE TABLE secrets(id TEXT NOT NULL REFERENCES keys(id), digest BLOB NOT NULL, expires INTEGER NOT NULL) STRICT;
CREATE INDEX secrets_by_id ON secrets(id);
CREATE TABLE usage(
  id TEXT NOT NULL, day INTEGER NOT NULL, requests INTEGER NOT NULL, tokens INTEGER NOT NULL,
  PRIMARY KEY(day, id)) STRICT, WITHOUT ROWID;
PRAGMA user_version = 2;
)";

// From version 1 to 2. A column that is added comes last, so that both ways lead to the same table.
constexpr const char* kAddProjects = R"(
ALTER TABLE keys ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
PRAGMA user_version = 2;
)";

bool digits(std::string_view text) { return has_only(text, is_lower_hex); }

void check(const NewKey& key, std::int64_t now) {
  const bool plain = std::ranges::none_of(key.name, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (!plain || key.name.size() > kNameBytes || nn::find_invalid_utf8(key.name)) {
    throw ValueError(fmt::format("key: a name has up to {} bytes of UTF-8 without control characters", kNameBytes));
  }
  if (!key.name.empty() && nn::is_blank(key.name)) {
    throw ValueError("key: the name has no visible character; leave it out or give a visible name");
  }
  if (!KeyStore::valid_project(key.project)) {
    throw ValueError(
        "key: a project's name has 1 to 64 of A-Z a-z 0-9 . _ -, the first not a dot; give another project");
  }
  const KeyQuotas& q = key.quotas;
  if (std::min({q.requests_per_minute, q.requests_per_day, q.tokens_per_minute, q.tokens_per_day}) < 0) {
    throw ValueError("key: a quota is below 0; 0 means no quota");
  }
  if (key.expires != 0 && key.expires <= now) throw ValueError("key: the expiry is in the past");
  if (key.scopes.text().empty()) throw ValueError("key: has no scope; give predict, metrics or admin");
}

// The scopes that a key can have.
struct NamedScope {
  Scope scope;
  bool KeyScopes::*has;
  std::string_view word;
};
constexpr NamedScope kScopes[] = {{Scope::kPredict, &KeyScopes::predict, "predict"},
                                  {Scope::kMetrics, &KeyScopes::metrics, "metrics"},
                                  {Scope::kAdmin, &KeyScopes::admin, "admin"}};

}  // namespace

std::string_view name_of(Scope scope) {
  const auto* const found = std::ranges::find(kScopes, scope, &NamedScope::scope);
  return found == std::end(kScopes) ? "" : found->word;
}

bool KeyScopes::allow(Scope scope) const {
  const auto* const found = std::ranges::find(kScopes, scope, &NamedScope::scope);
  return found == std::end(kScopes) || this->*found->has;  // an open route needs none
}

std::string KeyScopes::text() const {
  std::string out;
  for (const NamedScope& one : kScopes) {
    if (this->*one.has) out += fmt::format("{}{}", out.empty() ? "" : ",", one.word);
  }
  return out;
}

KeyScopes KeyScopes::parse(std::string_view text) {
  KeyScopes scopes;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    const auto* const found = std::ranges::find(kScopes, word, &NamedScope::word);
    if (found == std::end(kScopes)) {
      throw ValueError(
          fmt::format("scopes: '{}' is not a scope; give predict, metrics or admin, separated by commas", word));
    }
    scopes.*found->has = true;
    begin = end + 1;
  }
  return scopes;
}

std::int64_t KeyStore::system_time() { return static_cast<std::int64_t>(std::time(nullptr)); }

bool KeyStore::valid_project(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' && has_only(name, is_alphanumeric, "._-");
}

bool KeyStore::is_database(const std::filesystem::path& file) {
  if (!std::filesystem::is_regular_file(file)) return false;
  try {
    // SQLite reads the file, not this function: see make_private() in database.cpp.
    return Database(file, Database::Mode::kRead).number("PRAGMA page_count") > 0;
  } catch (const IoError& error) {
    if (std::string_view(error.what()).find("not a database") != std::string_view::npos) return false;
    throw;
  }
}

KeyStore::KeyStore(const std::filesystem::path& file, bool create, Clock clock)
    : clock_(std::move(clock)), database_(file, create ? Database::Mode::kCreate : Database::Mode::kWrite) {
  std::filesystem::path pepper_file = file;
  pepper_file += ".pepper";
  // FULL: a commit is on the disk before it is acknowledged.
  database_.run("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON; PRAGMA trusted_schema=OFF");
  if (!initialized(database_)) {
    Transaction transaction(database_);
    if (!initialized(database_)) {
      pepper_ = make_pepper(pepper_file);
      database_.run(kSchema);
      database_.run(fmt::format("PRAGMA application_id = {}", kApplication).c_str());
      database_.prepare("INSERT INTO store VALUES(?)").bind(1, digest(kPepperCheck)).run();
    }
    transaction.commit();
  }
  if (version_of(database_) < kVersion) {
    Database copy(fmt::format("{}.before-{}", file.string(), kVersion), Database::Mode::kCreate);
    database_.copy_to(copy);
    migrate(database_);
  }
  database_.use_log();
  pepper_ = read_pepper(pepper_file);
  check_pepper(database_, pepper_);
}

void KeyStore::check_pepper(Database& database, const KeyDigest& pepper) {
  const KeyDigest right = hmac_sha256(pepper, kPepperCheck);
  Statement stored = database.prepare("SELECT pepper_check FROM store");
  if (stored.step() && stored.text(0) == std::string(right.begin(), right.end())) return;
  throw DataError(fmt::format("{}: the pepper belongs to another store; restore both from the same backup",
                              database.file().string()));
}

void KeyStore::check_database(Database& database, const KeyDigest& pepper) {
  if (!initialized(database)) {
    throw DataError(fmt::format("{}: is not a key store; give another file", database.file().string()));
  }
  check_pepper(database, pepper);
  const std::string damage = database.damage();
  if (damage.empty() && !database.prepare("PRAGMA foreign_key_check").step()) return;
  throw DataError(fmt::format("{}: is damaged ({}); take another backup", database.file().string(),
                              damage.empty() ? "a secret without its key" : damage));
}

// Returns whether the tables exist. DataError when they belong to another program or a later version.
bool KeyStore::initialized(Database& database) {
  // This check comes first, because another process may create the tables meanwhile.
  if (database.number("SELECT count(*) FROM sqlite_schema") == 0) return false;
  const std::int64_t version = version_of(database);
  if (database.number("PRAGMA application_id") != kApplication || version < 1) {
    throw DataError(fmt::format("{}: is not a key store; give another file", database.file().string()));
  }
  if (version > kVersion) {
    throw DataError(
        fmt::format("{}: was written by a newer qing (tables of version {}, this one knows {}); use that qing, or "
                    "restore a backup",
                    database.file().string(), version, kVersion));
  }
  return true;
}

std::int64_t KeyStore::version_of(Database& database) { return database.number("PRAGMA user_version"); }

void KeyStore::migrate(Database& database) {
  Transaction transaction(database);
  // Another process may have migrated it since.
  if (initialized(database) && version_of(database) < kVersion) database.run(kAddProjects);
  transaction.commit();
}

KeyDigest KeyStore::digest(std::string_view key) const { return hmac_sha256(pepper_, key); }

std::string_view KeyStore::id_of(std::string_view key) {
  constexpr size_t kId = 2 * kIdBytes;
  const bool formed = key.size() == kId + 1 + 2 * kSecretBytes && key[kId] == '.' && digits(key.substr(0, kId)) &&
                      digits(key.substr(kId + 1));
  return formed ? key.substr(0, kId) : std::string_view();
}

std::string KeyStore::add_secret(std::string_view id, std::int64_t now) {
  std::string key = fmt::format("{}.{}", id, random_digits(kSecretBytes));
  database_.prepare("DELETE FROM secrets WHERE id = ? AND expires <> 0 AND expires <= ?")
      .bind(1, id)
      .bind(2, now)
      .run();
  database_.prepare("INSERT INTO secrets VALUES(?, ?, 0)").bind(1, id).bind(2, digest(key)).run();
  return key;
}

std::string KeyStore::create(const NewKey& key) {
  const std::int64_t now = clock_();
  check(key, now);
  const std::string id = random_digits(kIdBytes);
  Transaction transaction(database_);
  database_.prepare("INSERT INTO keys VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)")
      .bind(1, id)
      .bind(2, key.name)
      .bind(3, key.scopes.text())
      .bind(4, key.quotas.requests_per_minute)
      .bind(5, key.quotas.requests_per_day)
      .bind(6, key.quotas.tokens_per_minute)
      .bind(7, key.quotas.tokens_per_day)
      .bind(8, now)
      .bind(9, key.expires)
      .bind(10, key.project)
      .run();
  std::string whole = add_secret(id, now);
  transaction.commit();
  return whole;
}

StoredKey KeyStore::find(std::string_view id) {
  // If a whole key is given instead of its ID, the message does not repeat it.
  if (id.size() != 2 * kIdBytes || !digits(id)) {
    throw ValueError("key: not a key ID; give the 16 digits before the dot of a key, as shown by qing keys list");
  }
  std::vector<StoredKey> found = select(id);
  if (found.empty()) {
    throw ValueError(fmt::format("key: {} is not in {}; see qing keys list", id, database_.file().string()));
  }
  return std::move(found.front());
}

std::string KeyStore::rotate(std::string_view id, std::int64_t overlap) {
  constexpr std::int64_t kLongest = std::int64_t{100} * 366 * 86400;
  if (overlap < 0 || overlap > kLongest) throw ValueError("key: the overlap must be from 0 s to a hundred years");
  const std::int64_t now = clock_();
  Transaction transaction(database_);
  if (!find(id).valid(now)) throw ValueError(fmt::format("key: {} was revoked or has expired; make a new one", id));
  database_.prepare("UPDATE secrets SET expires = ?1 WHERE id = ?2 AND (expires = 0 OR expires > ?1)")
      .bind(1, now + overlap)
      .bind(2, id)
      .run();
  std::string key = add_secret(id, now);
  transaction.commit();
  return key;
}

void KeyStore::revoke(std::string_view id) {
  Transaction transaction(database_);
  find(id);
  database_.prepare("UPDATE keys SET revoked = ? WHERE id = ? AND revoked = 0").bind(1, clock_()).bind(2, id).run();
  database_.prepare("DELETE FROM secrets WHERE id = ?").bind(1, id).run();
  transaction.commit();
}

std::vector<StoredKey> KeyStore::keys() { return select({}); }

// Returns the key of an ID, or all keys if the ID is empty.
std::vector<StoredKey> KeyStore::select(std::string_view id) {
  Statement row = database_.prepare(
      "SELECT keys.id, name, scopes, requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day, "
      "created, keys.expires, revoked, digest, secrets.expires, project FROM keys LEFT JOIN secrets ON secrets.id = "
      "keys.id "
      "AND (secrets.expires = 0 OR secrets.expires > ?1) WHERE ?2 = '' OR keys.id = ?2 "
      "ORDER BY number, secrets.rowid");
  row.bind(1, clock_()).bind(2, id);
  std::vector<StoredKey> keys;
  while (row.step()) {
    if (keys.empty() || keys.back().id != row.text(0)) {
      keys.push_back({row.text(0),
                      row.text(1),
                      row.text(12),
                      KeyScopes::parse(row.text(2)),
                      {row.number(3), row.number(4), row.number(5), row.number(6)},
                      row.number(7),
                      row.number(8),
                      row.number(9),
                      {}});
    }
    const std::string stored = row.text(10);
    StoredKey::Secret secret{{}, row.number(11)};
    if (stored.size() != secret.digest.size()) continue;  // a revoked key has no secret
    std::copy(stored.begin(), stored.end(), secret.digest.begin());
    keys.back().secrets.push_back(secret);
  }
  return keys;
}

void KeyStore::add_usage(const std::vector<KeyUsage>& usage) {
  Transaction transaction(database_);
  Statement add = database_.prepare(
      "INSERT INTO usage VALUES(?, ?, ?, ?) ON CONFLICT(day, id) DO UPDATE SET "
      "requests = requests + excluded.requests, tokens = tokens + excluded.tokens");
  for (const KeyUsage& row : usage) {
    add.bind(1, row.id).bind(2, row.day).bind(3, row.requests).bind(4, row.tokens).run();
  }
  transaction.commit();
}

std::vector<KeyUsage> KeyStore::usage(std::int64_t from_day) {
  Statement row = database_.prepare("SELECT id, day, requests, tokens FROM usage WHERE day >= ? ORDER BY day, id");
  row.bind(1, from_day);
  std::vector<KeyUsage> usage;
  while (row.step()) usage.push_back({row.text(0), row.number(1), row.number(2), row.number(3)});
  return usage;
}

}  // namespace qing::serve
