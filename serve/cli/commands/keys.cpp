// `qing keys`. A new key is printed on stdout once. Messages for people are printed on stderr.
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/chrono.h>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>
#include <qing/serve/http/message.h>
#include <qing/serve/keys/key_backup.h>
#include <qing/serve/keys/key_store.h>

namespace qing::serve::cli {
namespace {

constexpr std::int64_t kDay = 86400;

struct KeysArguments {
  std::filesystem::path store;
  std::string id;  ///< of the key; for usage empty: all keys
  std::string name;
  std::string project = std::string(Gatekeeper::kDefaultProject);
  std::string scopes = "predict";
  int64_t expires = 0;                                    ///< seconds from now; 0: never
  int64_t requests_per_minute = 0, requests_per_day = 0;  ///< 0: no limit
  int64_t tokens_per_minute = 0, tokens_per_day = 0;
  int64_t overlap = 86400;  ///< seconds
  int64_t days = 30;
  std::filesystem::path backup,
      pepper;  ///< files of run_keys_backup and run_keys_restore; an empty pepper: FILE.pepper
  bool without_pepper = false, overwrite = false;
  bool json = false;
};

std::string moment(std::int64_t seconds) {
  return seconds == 0 ? "never" : fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}
std::string date(std::int64_t day) {
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(static_cast<std::time_t>(day * kDay)));
}

std::string state(const StoredKey& key) {
  if (key.revoked != 0) return "revoked";
  return key.valid(KeyStore::system_time()) ? "valid" : "expired";
}

void print_key(const std::string& key, bool json) {
  const std::string id(KeyStore::id_of(key));
  if (json) {
    JsonWriter line(JsonWriter::Style::kSpaced);
    line.begin_object().member("id", id).member("key", key).end();
    print_line(line.take());
  } else {
    print_line(key);
    std::fprintf(stderr, "key %s: it cannot be shown again\n", id.c_str());
  }
}

void write_moment(JsonWriter& json, std::string_view name, std::int64_t seconds) {
  json.key(name);
  seconds == 0 ? json.raw("null") : json.value(moment(seconds));
}

std::string key_json(const StoredKey& key) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("id", key.id).member("name", key.name).member("project", key.project);
  json.member("state", state(key));
  // The list of scopes has no spaces, unlike the rest of the line.
  JsonWriter scopes;
  scopes.value(CLI::detail::split(key.scopes.text(), ','));
  json.key("scopes").raw(scopes.take());
  write_moment(json, "created", key.created);
  write_moment(json, "expires", key.expires);
  write_moment(json, "revoked", key.revoked);
  json.member("secrets", key.secrets.size()).member("requests_per_minute", key.quotas.requests_per_minute);
  json.member("requests_per_day", key.quotas.requests_per_day);
  json.member("tokens_per_minute", key.quotas.tokens_per_minute);
  json.member("tokens_per_day", key.quotas.tokens_per_day).end();
  return json.take();
}

std::string usage_json(const KeyUsage& row) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("day", date(row.day)).member("id", row.id);
  json.member("requests", row.requests).member("tokens", row.tokens).end();
  return json.take();
}

void print_member(std::string_view name, const std::string& value) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member(name, value).end();
  print_line(json.take());
}

// Creates the store if it is missing. Prints only the new key on stdout.
void run_keys_create(const KeysArguments& a) {
  NewKey key{.name = a.name, .scopes = KeyScopes::parse(a.scopes), .project = a.project};
  key.quotas = {a.requests_per_minute, a.requests_per_day, a.tokens_per_minute, a.tokens_per_day};
  if (a.expires != 0) key.expires = KeyStore::system_time() + a.expires;
  print_key(KeyStore(a.store, true).create(key), a.json);
}

// Prints one line per key, without secrets.
void run_keys_list(const KeysArguments& a) {
  const std::vector<StoredKey> keys = KeyStore(a.store).keys();
  if (!a.json)
    print_line("id                state    expires               scopes                 project           name");
  for (const StoredKey& key : keys) {
    print_line(a.json ? key_json(key)
                      : fmt::format("{}  {:7}  {:20}  {:21}  {:16}  {}", key.id, state(key), moment(key.expires),
                                    key.scopes.text(), key.project, key.name));
  }
}

// Prints the key with its new secret.
void run_keys_rotate(const KeysArguments& a) { print_key(KeyStore(a.store).rotate(a.id, a.overlap), a.json); }

void run_keys_revoke(const KeysArguments& a) {
  KeyStore(a.store).revoke(a.id);
  if (!a.json) return;
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("id", a.id).member("state", "revoked").end();
  print_line(json.take());
}

// Prints one line per day and key.
void run_keys_usage(const KeysArguments& a) {
  const std::int64_t today = KeyStore::system_time() / kDay;
  const std::vector<KeyUsage> usage = KeyStore(a.store).usage(today - a.days + 1);
  if (!a.json) print_line("day         id                    requests            tokens");
  for (const KeyUsage& row : usage) {
    if (!a.id.empty() && row.id != a.id) continue;
    print_line(a.json ? usage_json(row)
                      : fmt::format("{}  {}  {:12}  {:16}", date(row.day), row.id, row.requests, row.tokens));
  }
}

// Copies a consistent snapshot of the store to the file `backup`. Servers may use the store meanwhile.
void run_keys_backup(const KeysArguments& a) {
  backup_keys(a.store, a.backup, {.overwrite = a.overwrite, .pepper = !a.without_pepper, .pepper_file = {}});
  if (a.json) print_member("backup", a.backup.string());
}

// Copies the backup to the store.
void run_keys_restore(const KeysArguments& a) {
  restore_keys(a.backup, a.store, {.overwrite = a.overwrite, .pepper = true, .pepper_file = a.pepper});
  if (a.json) print_member("store", a.store.string());
}

}  // namespace

void add_keys(CommandLine& line) {
  const auto a = std::make_shared<KeysArguments>();
  CLI::App* keys = line.app.add_subcommand("keys", "Create and manage API keys");
  keys->require_subcommand(1);
  const auto add = [&](const char* name, const char* about, void (*run)(const KeysArguments&)) {
    CLI::App* command = keys->add_subcommand(name, about);
    command->add_option("--store", a->store, "Key store file")->required()->type_name("FILE");
    command->add_flag("--json", a->json, "Print one JSON object per line");
    command->callback([&line, a, run] { line.run = [a, run] { run(*a); }; });
    return command;
  };
  const std::map<std::string, int64_t> units{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
  const CLI::AsNumberWithUnit time(units, CLI::AsNumberWithUnit::UNIT_REQUIRED, "TIME");
  const CLI::Validator quota = number_from(0, static_cast<double>(int64_t{1} << 53));
  const CLI::Validator lifetime = number_from(1, 2147483648.0).description("");
  CLI::App* create = add("create", "Create a key and print it. A missing store is created", run_keys_create);
  create->add_option("--name", a->name, "Display name of the key");
  create->add_option("--project", a->project, "Project that owns the files, jobs and models made with the key")
      ->capture_default_str();
  create->add_option("--scopes", a->scopes, "Scopes, separated by commas: predict, metrics, admin")
      ->capture_default_str();
  create
      ->add_option("--expires", a->expires,
                   "Lifetime of the key, such as 90d, 12h, 30m or 10s. By default it never expires")
      ->transform(time)
      ->check(lifetime)
      ->type_name("TIME");
  create->add_option("--requests-per-minute", a->requests_per_minute, "Quota of requests per minute. 0 means no quota")
      ->check(quota);
  create->add_option("--requests-per-day", a->requests_per_day, "Quota of requests per day. 0 means no quota")
      ->check(quota);
  create->add_option("--tokens-per-minute", a->tokens_per_minute, "Quota of tokens per minute. 0 means no quota")
      ->check(quota);
  create->add_option("--tokens-per-day", a->tokens_per_day, "Quota of tokens per day. 0 means no quota")->check(quota);
  add("list", "List the keys without their secrets", run_keys_list);
  CLI::App* rotate = add("rotate", "Replace the secret of a key and print the new key", run_keys_rotate);
  rotate->add_option("id", a->id, "Key ID: the part of the key before the dot")->required();
  rotate->add_option("--overlap", a->overlap, "Time that the old secret remains valid, such as 12h. The default is 24h")
      ->transform(time)
      ->type_name("TIME");
  CLI::App* revoke = add("revoke", "Revoke a key. Running servers refuse it within a second", run_keys_revoke);
  revoke->add_option("id", a->id, "Key ID: the part of the key before the dot")->required();
  CLI::App* usage = add("usage", "Show requests and tokens per day (UTC) and key", run_keys_usage);
  usage->add_option("id", a->id, "Key ID. The default is all keys");
  usage->add_option("--days", a->days, "Number of days up to today")
      ->capture_default_str()
      ->check(number_from(1, 100'000));
  CLI::App* backup = add("backup", "Back up the store and its pepper. Servers may run meanwhile", run_keys_backup);
  backup->add_option("file", a->backup, "Backup file. The pepper is written to FILE.pepper")
      ->required()
      ->type_name("FILE");
  backup->add_flag("--without-pepper", a->without_pepper,
                   "Skip the pepper. It never changes, so one copy kept elsewhere is enough");
  backup->add_flag("--overwrite", a->overwrite, "Replace an existing backup");
  CLI::App* restore = add("restore", "Restore the store from a backup", run_keys_restore);
  restore->add_option("file", a->backup, "Backup file")->required()->type_name("FILE");
  restore
      ->add_option("--pepper", a->pepper,
                   "Pepper file. The default is FILE.pepper, or the store's own if that is missing")
      ->type_name("FILE");
  restore->add_flag("--overwrite", a->overwrite, "Replace the keys of an existing store. Servers may run meanwhile");
}

}  // namespace qing::serve::cli
