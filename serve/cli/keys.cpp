// `qing keys`. A new key is printed once to stdout. Messages for people go to stderr.
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/cli/commands.h>
#include <qing/serve/common/json_text.h>
#include <qing/serve/common/output.h>
#include <qing/serve/http/message.h>
#include <qing/serve/keys/key_backup.h>
#include <qing/serve/keys/key_store.h>

namespace qing::serve::cli {
namespace {

constexpr std::int64_t kDay = 86400;

std::string utc(std::int64_t seconds, const char* format) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  char text[64] = "";
  if (gmtime_r(&time, &parts) != nullptr) std::strftime(text, sizeof text, format, &parts);
  return text;
}

std::string moment(std::int64_t seconds) { return seconds == 0 ? "never" : utc(seconds, "%Y-%m-%dT%H:%M:%SZ"); }
std::string date(std::int64_t day) { return utc(day * kDay, "%Y-%m-%d"); }

std::string state(const StoredKey& key) {
  if (key.revoked != 0) return "revoked";
  return key.valid(KeyStore::system_time()) ? "valid" : "expired";
}

void print_key(const std::string& key, bool json) {
  const std::string id(KeyStore::id_of(key));
  if (json) {
    print_line(JsonObject().text("id", id).text("key", key).str());
  } else {
    print_line(key);
    std::fprintf(stderr, "key %s: it cannot be shown again\n", id.c_str());
  }
}

std::string key_json(const StoredKey& key) {
  std::string scopes = "\"" + key.scopes.text() + "\"";
  for (std::size_t at = 0; (at = scopes.find(',', at)) != scopes.npos; at += 3) scopes.replace(at, 1, "\",\"");
  const auto time = [](std::int64_t seconds) { return seconds == 0 ? "null" : json_quoted(moment(seconds)); };
  return JsonObject()
      .text("id", key.id)
      .text("name", key.name)
      .text("state", state(key))
      .raw("scopes", "[" + scopes + "]")
      .raw("created", time(key.created))
      .raw("expires", time(key.expires))
      .raw("revoked", time(key.revoked))
      .integer("secrets", static_cast<std::int64_t>(key.secrets.size()))
      .integer("requests_per_minute", key.quotas.requests_per_minute)
      .integer("requests_per_day", key.quotas.requests_per_day)
      .integer("tokens_per_minute", key.quotas.tokens_per_minute)
      .integer("tokens_per_day", key.quotas.tokens_per_day)
      .str();
}

}  // namespace

void run_keys_create(const KeysArguments& a) {
  NewKey key{a.name, KeyScopes::parse(a.scopes), {}, 0};
  key.quotas = {a.requests_per_minute, a.requests_per_day, a.tokens_per_minute, a.tokens_per_day};
  if (a.expires != 0) key.expires = KeyStore::system_time() + a.expires;
  print_key(KeyStore(a.store, true).create(key), a.json);
}

void run_keys_list(const KeysArguments& a) {
  const std::vector<StoredKey> keys = KeyStore(a.store).keys();
  if (!a.json) print_line("id                state    expires               scopes                 name");
  for (const StoredKey& key : keys) {
    print_line(a.json ? key_json(key)
                      : fmt::format("{}  {:7}  {:20}  {:21}  {}", key.id, state(key), moment(key.expires),
                                    key.scopes.text(), key.name));
  }
}

void run_keys_rotate(const KeysArguments& a) { print_key(KeyStore(a.store).rotate(a.id, a.overlap), a.json); }

void run_keys_revoke(const KeysArguments& a) {
  KeyStore(a.store).revoke(a.id);
  if (a.json) print_line(JsonObject().text("id", a.id).text("state", "revoked").str());
}

void run_keys_usage(const KeysArguments& a) {
  const std::int64_t today = KeyStore::system_time() / kDay;
  const std::vector<KeyUsage> usage = KeyStore(a.store).usage(today - a.days + 1);
  if (!a.json) print_line("day         id                    requests            tokens");
  for (const KeyUsage& row : usage) {
    if (!a.id.empty() && row.id != a.id) continue;
    print_line(a.json ? JsonObject()
                            .text("day", date(row.day))
                            .text("id", row.id)
                            .integer("requests", row.requests)
                            .integer("tokens", row.tokens)
                            .str()
                      : fmt::format("{}  {}  {:12}  {:16}", date(row.day), row.id, row.requests, row.tokens));
  }
}

void run_keys_backup(const KeysArguments& a) {
  backup_keys(a.store, a.backup, {.overwrite = a.overwrite, .pepper = !a.without_pepper, .pepper_file = {}});
  if (a.json) print_line(JsonObject().text("backup", a.backup.string()).str());
}

void run_keys_restore(const KeysArguments& a) {
  restore_keys(a.backup, a.store, {.overwrite = a.overwrite, .pepper = true, .pepper_file = a.pepper});
  if (a.json) print_line(JsonObject().text("store", a.store.string()).str());
}

}  // namespace qing::serve::cli
