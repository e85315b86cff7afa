// Keys of a KeyStore in memory: requests are checked and counted without disk access.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <qing/serve/keys/gatekeeper.h>
#include <qing/serve/keys/key_store.h>

namespace qing::serve {

/// Authorizes requests with an in-memory copy of the store. A thread refreshes the copy and writes the usage twice a
/// second, so a kill loses at most the usage since then. While the store cannot be read, the copy stays in use and an
/// error is logged.
///
/// A request counts when it is authorized, tokens when they are computed. A key over its token quota is refused its
/// next request. Quotas per minute apply to this process. Quotas per day survive a restart and apply to all processes
/// of this store.
///
/// Thread-safe: the I/O thread admits requests, compute threads charge tokens, and a thread of its own uses the store.
class KeyGuard : public Gatekeeper {
 public:
  /// IoError or DataError as KeyStore.
  explicit KeyGuard(const std::filesystem::path& store, KeyStore::Clock clock = KeyStore::system_time);
  /// Writes the pending usage.
  ~KeyGuard() override;

  std::string admit(std::string_view key, Scope scope) override;
  bool allows(const std::string& id, Scope scope) const override;
  /// Refusal with 401 for an id that the store no longer has, so that it gets nobody's data.
  std::string project(const std::string& id) const override;
  void charge_tokens(const std::string& id, std::int64_t tokens) override;
  /// Writes the usage and reads changes by others now. Thread-safe; IoError.
  void synchronize();

 private:
  struct Amount {
    std::int64_t requests = 0, tokens = 0;
  };
  struct Minute {
    std::int64_t number = 0;
    Amount used;
  };
  using Keys = std::unordered_map<std::string, StoredKey>;

  void work();
  Keys read_keys();
  void check_quotas(const StoredKey& key, std::int64_t now);
  Amount used_on(const std::string& id, std::int64_t day) const;

  const KeyStore::Clock clock_;
  std::mutex store_mutex_;  // taken before mutex_
  KeyStore store_;
  std::int64_t version_ = 0, day_ = 0;  // of the store's rows that are in memory

  mutable std::mutex mutex_;
  Keys keys_;
  std::unordered_map<std::string, Minute> minutes_;
  std::map<std::pair<std::string, std::int64_t>, Amount> stored_;   // today, by {id, day}
  std::map<std::pair<std::string, std::int64_t>, Amount> pending_;  // not written yet
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace qing::serve
