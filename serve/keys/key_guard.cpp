#include "key_guard.h"

#include <openssl/crypto.h>

#include <chrono>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/common/log.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::serve {
namespace {

constexpr std::chrono::milliseconds kPeriod{500};
constexpr std::int64_t kMinute = 60, kDay = 86400;

[[noreturn]] void refuse_quota(const std::string& id, std::string_view what, std::int64_t limit, std::int64_t wait) {
  HttpResponse response = error_response(
      429, "quota", fmt::format("the key's quota of {} {} is used up; try again in {} s", limit, what, wait));
  response.headers.emplace_back("Retry-After", std::to_string(wait));
  throw Refusal(std::move(response), id);
}

}  // namespace

KeyGuard::KeyGuard(const std::filesystem::path& store, KeyStore::Clock clock)
    : clock_(std::move(clock)), store_(store, false, clock_) {
  version_ = store_.version();
  keys_ = read_keys();
  day_ = clock_() / kDay;
  for (const KeyUsage& row : store_.usage(day_)) stored_[{row.id, row.day}] = {row.requests, row.tokens};
  if (keys_.empty()) {
    log_line("warning", "store_without_keys", {{"file", store.string()}, {"remedy", "qing keys create"}});
  }
  thread_ = start_thread([this] { work(); });
}

KeyGuard::~KeyGuard() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void KeyGuard::work() {
  bool failing = false;
  for (bool last = false; !last;) {
    {
      std::unique_lock lock(mutex_);
      last = wake_.wait_for(lock, kPeriod, [this] { return stopping_; });
    }
    try {
      synchronize();
      if (failing) log_line("info", "key_store_works_again");
      failing = false;
    } catch (const std::exception& error) {
      // The error is logged once, not twice a second. Usage that could not be written stays pending.
      if (!failing) log_line("error", "key_store_failed", {{"error", error.what()}});
      failing = true;
    }
  }
}

KeyGuard::Keys KeyGuard::read_keys() {
  Keys keys;
  for (StoredKey& key : store_.keys()) {
    std::string id = key.id;
    keys.emplace(std::move(id), std::move(key));
  }
  return keys;
}

void KeyGuard::synchronize() {
  const std::lock_guard store_lock(store_mutex_);
  std::vector<KeyUsage> batch;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, amount] : pending_) batch.push_back({key.first, key.second, amount.requests, amount.tokens});
  }
  // The version is read before the data, so that a change during the reading is noticed next time.
  const std::int64_t version = store_.version();
  const std::int64_t today = clock_() / kDay;
  // On a new day the rows are read again instead of starting at 0: a clock set ahead may have been set back.
  const bool changed = version != version_ || today != day_;
  if (batch.empty() && !changed) return;
  if (!batch.empty()) store_.add_usage(batch);
  // From here to the swap only memory allocation can fail, because written usage must not stay pending.
  {
    const std::lock_guard lock(mutex_);
    for (const KeyUsage& row : batch) {
      Amount& written = stored_[{row.id, row.day}];
      written.requests += row.requests;
      written.tokens += row.tokens;
      const auto pending = pending_.find({row.id, row.day});
      pending->second.requests -= row.requests;
      pending->second.tokens -= row.tokens;
      if (pending->second.requests == 0 && pending->second.tokens == 0) pending_.erase(pending);
    }
    std::erase_if(stored_, [today](const auto& entry) { return entry.first.second < today; });
  }
  if (!changed) return;
  Keys keys = read_keys();
  std::map<std::pair<std::string, std::int64_t>, Amount> stored;
  for (const KeyUsage& row : store_.usage(today)) stored[{row.id, row.day}] = {row.requests, row.tokens};
  const std::lock_guard lock(mutex_);
  keys_.swap(keys);
  stored_.swap(stored);
  version_ = version;
  day_ = today;
}

std::string KeyGuard::admit(std::string_view key, Scope scope) {
  std::string id(KeyStore::id_of(key));
  if (id.empty()) refuse_unknown();
  const KeyDigest given = store_.digest(key);
  const std::int64_t now = clock_();
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(id);
  if (found == keys_.end()) refuse_unknown();
  const StoredKey& stored = found->second;
  bool good = false;
  // Ids are public. Digests of secrets are compared in constant time.
  for (const StoredKey::Secret& secret : stored.secrets) {
    const bool same = CRYPTO_memcmp(secret.digest.data(), given.data(), given.size()) == 0;
    good |= same && (secret.expires == 0 || now < secret.expires);
  }
  if (!good || !stored.valid(now)) refuse_unknown(std::move(id));
  if (!stored.scopes.allow(scope)) {
    throw Refusal(
        error_response(403, "forbidden",
                       fmt::format("this key lacks the scope {0}; use a key with the scope {0}", name_of(scope))),
        std::move(id));
  }
  check_quotas(stored, now);
  ++minutes_[id].used.requests;
  ++pending_[{id, now / kDay}].requests;
  return id;
}

bool KeyGuard::allows(const std::string& id, Scope scope) const {
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(id);
  return found != keys_.end() && found->second.scopes.allow(scope);
}

std::string KeyGuard::project(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(id);
  if (found == keys_.end()) refuse_unknown();
  return found->second.project;
}

// Starts a new minute if one has passed. Called with the lock held.
void KeyGuard::check_quotas(const StoredKey& key, std::int64_t now) {
  Minute& minute = minutes_[key.id];
  if (minute.number != now / kMinute) minute = {now / kMinute, {}};
  const Amount today = used_on(key.id, now / kDay);
  const KeyQuotas& q = key.quotas;
  const auto check = [&](std::int64_t used, std::int64_t limit, std::string_view what, std::int64_t window) {
    if (limit != 0 && used >= limit) refuse_quota(key.id, what, limit, window - now % window);
  };
  check(today.requests, q.requests_per_day, "requests per day", kDay);
  check(today.tokens, q.tokens_per_day, "tokens per day", kDay);
  check(minute.used.requests, q.requests_per_minute, "requests per minute", kMinute);
  check(minute.used.tokens, q.tokens_per_minute, "tokens per minute", kMinute);
}

KeyGuard::Amount KeyGuard::used_on(const std::string& id, std::int64_t day) const {
  Amount sum;
  for (const auto* amounts : {&stored_, &pending_}) {
    const auto found = amounts->find({id, day});
    if (found == amounts->end()) continue;
    sum.requests += found->second.requests;
    sum.tokens += found->second.tokens;
  }
  return sum;
}

void KeyGuard::charge_tokens(const std::string& id, std::int64_t tokens) {
  const std::int64_t now = clock_();
  const std::lock_guard lock(mutex_);
  Minute& minute = minutes_[id];
  if (minute.number != now / kMinute) minute = {now / kMinute, {}};
  minute.used.tokens += tokens;
  pending_[{id, now / kDay}].tokens += tokens;
}

}  // namespace qing::serve
