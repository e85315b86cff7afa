#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/common/database.h>
#include <qing/serve/keys/key_guard.h>
#include <qing/serve/keys/key_store.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMinute = 60, kDay = 86400;

// Runs `work` in another process. Returns whether it succeeded.
template <class Work> pid_t in_process(Work work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  int code = 0;
  try {
    work();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    code = 1;
  }
  ::_exit(code);
}

bool ended_well(pid_t child) {
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class KeyStoreTest : public ::testing::Test {
 protected:
  KeyStore::Clock clock() {
    return [this] { return now.load(); };
  }
  KeyStore open() { return KeyStore(file, true, clock()); }
  std::string create(NewKey key = {}) { return open().create(key); }
  // Returns 200 if a request is let in, or the status of its refusal.
  static int status(KeyGuard& guard, std::string_view key, Scope scope = Scope::kPredict) {
    return response(guard, key, scope).status;
  }
  static HttpResponse response(KeyGuard& guard, std::string_view key, Scope scope = Scope::kPredict) {
    try {
      guard.admit(key, scope);
      return {};
    } catch (const Refusal& refusal) { return refusal.response(); }
  }
  static std::string id(std::string_view key) { return std::string(KeyStore::id_of(key)); }

  test::TempFolder folder;
  const fs::path file = folder.path() / "keys.db";
  std::atomic<std::int64_t> now = 20'000 * kDay;
};

TEST_F(KeyStoreTest, AcceptsAKeyAndNothingLikeIt) {
  const std::string key = create(), other = create();
  ASSERT_EQ(key.size(), 16U + 1 + 64);
  KeyGuard guard(file, clock());
  EXPECT_EQ(guard.admit(key, Scope::kPredict), id(key));
  EXPECT_EQ(guard.admit(other, Scope::kPredict), id(other));
  for (size_t i = 0; i < key.size(); ++i) {
    std::string wrong = key;
    wrong[i] = wrong[i] == '0' ? '1' : '0';
    EXPECT_EQ(status(guard, wrong), 401) << i;
    EXPECT_EQ(status(guard, key.substr(0, i)), 401) << i;
  }
  std::string capital = key;
  std::ranges::transform(capital, capital.begin(), [](unsigned char c) { return std::toupper(c); });
  for (const std::string& wrong : {capital, key + "0", " " + key, id(key) + other.substr(16), id(key) + ".",
                                   std::string(81, '.'), std::string(81, '0'), std::string(100'000, 'a')}) {
    EXPECT_EQ(status(guard, wrong), 401) << wrong.substr(0, 100);
  }
}

TEST_F(KeyStoreTest, NeverHasTheSecretOnTheDiskAndIsPrivate) {
  KeyStore store = open();
  std::vector<std::string> keys{store.create({.name = "a"})};
  keys.push_back(store.rotate(id(keys[0]), 60));
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    ++files;
    struct stat info {};
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U) << entry.path();
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    for (const std::string& key : keys) EXPECT_EQ(bytes.find(key.substr(17)), std::string::npos) << entry.path();
  }
  EXPECT_GE(files, 2U);  // database and pepper, and journals
}

TEST_F(KeyStoreTest, HoldsKeysToTheirScopes) {
  const std::string predict = create(), admin = create({.scopes = {.admin = true}}),
                    both = create({.scopes = KeyScopes::parse("predict,admin")}),
                    metrics = create({.scopes = KeyScopes::parse("metrics")});
  KeyGuard guard(file, clock());
  const auto row = [&](const std::string& key) {
    return std::vector{status(guard, key, Scope::kPredict), status(guard, key, Scope::kMetrics),
                       status(guard, key, Scope::kAdmin)};
  };
  EXPECT_EQ(row(predict), (std::vector{200, 403, 403}));
  EXPECT_EQ(row(admin), (std::vector{403, 403, 200}));
  EXPECT_EQ(row(both), (std::vector{200, 403, 200}));
  EXPECT_EQ(row(metrics), (std::vector{403, 200, 403}));
  for (const char* wrong : {"", "all", "predict,", "predict, admin", "Predict"}) {
    EXPECT_THROW(KeyScopes::parse(wrong), ValueError) << wrong;
  }
}

TEST_F(KeyStoreTest, ExpiresKeysOnTheSecond) {
  const std::string key = create({.expires = now + 10});
  KeyGuard guard(file, clock());
  now += 9;
  EXPECT_EQ(status(guard, key), 200);
  now += 1;
  EXPECT_EQ(status(guard, key), 401);
  KeyStore store = open();
  EXPECT_THROW(store.rotate(id(key), 60), ValueError);
  EXPECT_THROW(store.create({.expires = now}), ValueError);
}

TEST_F(KeyStoreTest, RotatesWithAnOverlap) {
  const std::string first = create();
  KeyGuard guard(file, clock());
  KeyStore store = open();
  const std::string second = store.rotate(id(first), 100);
  EXPECT_EQ(id(second), id(first));
  EXPECT_NE(second, first);
  guard.synchronize();
  now += 99;
  EXPECT_EQ(status(guard, first), 200);
  EXPECT_EQ(status(guard, second), 200);
  now += 1;
  EXPECT_EQ(status(guard, first), 401);
  EXPECT_EQ(status(guard, second), 200);
  // A second rotation never makes an older secret live longer.
  const std::string third = store.rotate(id(first), 50);
  const std::string fourth = store.rotate(id(first), 1000);
  guard.synchronize();
  now += 50;
  EXPECT_EQ(status(guard, second), 401);
  EXPECT_EQ(status(guard, third), 200);
  const std::string last = store.rotate(id(first), 0);
  guard.synchronize();
  EXPECT_EQ(status(guard, third), 401);
  EXPECT_EQ(status(guard, fourth), 401);
  EXPECT_EQ(status(guard, last), 200);
  EXPECT_EQ(store.keys().at(0).secrets.size(), 1U);
}

TEST_F(KeyStoreTest, RevokesForGood) {
  const std::string key = create(), other = create();
  KeyGuard guard(file, clock());
  KeyStore store = open();
  store.revoke(id(key));
  store.revoke(id(key));
  guard.synchronize();
  EXPECT_EQ(status(guard, key), 401);
  EXPECT_EQ(status(guard, other), 200);
  EXPECT_THROW(store.rotate(id(key), 60), ValueError);
  EXPECT_EQ(store.keys().at(0).revoked, now);
  EXPECT_TRUE(store.keys().at(0).secrets.empty());
  EXPECT_THROW(store.revoke("0000000000000000"), ValueError);
  try {
    store.revoke(other);
    FAIL() << "took a whole key for an id";
  } catch (const ValueError& error) { EXPECT_EQ(std::string(error.what()).find(other.substr(17)), std::string::npos); }
}

TEST_F(KeyStoreTest, CountsRequestsByMinuteAndDay) {
  const std::string key = create({.quotas = {.requests_per_minute = 2, .requests_per_day = 5}});
  const std::string other = create();
  KeyGuard guard(file, clock());
  now += 13;
  const auto use = [&](int times) {
    for (int i = 0; i < times; ++i) EXPECT_EQ(status(guard, key), 200);
  };
  use(2);
  const HttpResponse refused = response(guard, key);
  EXPECT_EQ(refused.status, 429);
  ASSERT_EQ(refused.headers.size(), 1U);
  EXPECT_EQ(refused.headers[0], (std::pair<std::string, std::string>("Retry-After", "47")));
  EXPECT_EQ(status(guard, other), 200);
  now += 46;
  EXPECT_EQ(status(guard, key), 429);
  now += 1;
  use(2);
  now += kMinute;
  use(1);
  const HttpResponse day = response(guard, key);
  EXPECT_EQ(day.status, 429);
  EXPECT_EQ(day.headers.at(0).second, std::to_string(kDay - 2 * kMinute));
  now += kDay - 2 * kMinute;
  use(2);
}

TEST_F(KeyStoreTest, CountsTokensOnceTheyAreComputed) {
  const std::string key = create({.quotas = {.tokens_per_minute = 100, .tokens_per_day = 250}});
  KeyGuard guard(file, clock());
  EXPECT_EQ(status(guard, key), 200);
  guard.charge_tokens(id(key), 99);
  EXPECT_EQ(status(guard, key), 200);
  guard.charge_tokens(id(key), 1);
  EXPECT_EQ(response(guard, key).headers.at(0).second, "60");
  now += kMinute;
  EXPECT_EQ(status(guard, key), 200);
  guard.charge_tokens(id(key), 150);
  now += kMinute;
  EXPECT_EQ(response(guard, key).headers.at(0).second, std::to_string(kDay - 2 * kMinute));
  now += kDay;
  EXPECT_EQ(status(guard, key), 200);
}

TEST_F(KeyStoreTest, KeepsADaysQuotaOverRestartsAndProcesses) {
  const std::string key = create({.quotas = {.requests_per_day = 3}});
  {
    KeyGuard guard(file, clock());
    EXPECT_EQ(status(guard, key), 200);
    EXPECT_EQ(status(guard, key), 200);
  }
  KeyGuard one(file, clock()), two(file, clock());
  EXPECT_EQ(status(one, key), 200);
  EXPECT_EQ(status(one, key), 429);
  one.synchronize();
  two.synchronize();
  EXPECT_EQ(status(two, key), 429);
}

TEST_F(KeyStoreTest, AddsUpUsage) {
  const std::string key = create({.quotas = {.requests_per_minute = 5}}), other = create();
  {
    KeyGuard guard(file, clock());
    for (int i = 0; i < 7; ++i) status(guard, key);  // 2 are over the quota
    guard.charge_tokens(id(key), 30);
    guard.synchronize();
    guard.charge_tokens(id(key), 12);
    guard.synchronize();
    guard.synchronize();
    status(guard, other, Scope::kAdmin);  // refused
    now += kDay;
    status(guard, key);
    guard.charge_tokens(id(other), 1);
  }
  const std::vector<KeyUsage> usage = open().usage(0);
  std::set<std::string> rows;
  for (const KeyUsage& row : usage) {
    rows.insert(fmt::format("{} {} {} {}", row.id == id(key) ? "key" : "other", row.day, row.requests, row.tokens));
  }
  EXPECT_EQ(rows, (std::set<std::string>{"key 20000 5 42", "key 20001 1 0", "other 20001 0 1"}));
  EXPECT_EQ(open().usage(20'001).size(), 2U);
}

TEST_F(KeyStoreTest, LosesNoUsageOfManyThreads) {
  const std::string key = create();
  {
    KeyGuard guard(file, clock());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) {
          guard.admit(key, Scope::kPredict);
          guard.charge_tokens(id(key), 3);
          if (i % 100 == 0) guard.synchronize();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  const std::vector<KeyUsage> usage = open().usage(0);
  ASSERT_EQ(usage.size(), 1U);
  EXPECT_EQ(usage[0].requests, 4000);
  EXPECT_EQ(usage[0].tokens, 12'000);
}

TEST_F(KeyStoreTest, IsMadeOnceByManyProcesses) {
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(in_process([&] {
      for (int k = 0; k < 5; ++k) KeyStore(file, true).create({.name = fmt::format("{}-{}", i, k)});
    }));
  }
  for (const pid_t child : children) EXPECT_TRUE(ended_well(child));
  EXPECT_EQ(open().keys().size(), 40U);
}

TEST_F(KeyStoreTest, SeesChangesOfOtherProcesses) {
  const std::string key = create();
  // Forked before there are threads and connections.
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t other = in_process([&] {
    char byte = 0;
    if (::read(ready[0], &byte, 1) == 1) KeyStore(file).revoke(id(key));
  });
  KeyGuard guard(file, clock());
  EXPECT_EQ(status(guard, key), 200);
  ASSERT_EQ(::write(ready[1], "x", 1), 1);
  EXPECT_TRUE(ended_well(other));
  ::close(ready[0]);
  ::close(ready[1]);
  for (int i = 0; i < 1000 && status(guard, key) == 200; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(status(guard, key), 401);
}

TEST_F(KeyStoreTest, RefusesOtherFilesAndAMissingPepper) {
  EXPECT_THROW(KeyStore{file}, IoError);
  const fs::path plain = folder.path() / "plain", longer = folder.path() / "longer", empty = folder.path() / "empty";
  std::ofstream(plain) << "first-key-0123456789\n";
  std::ofstream(longer) << std::string(10'000, 'x');
  std::ofstream(empty) << "";
  for (const fs::path& no : {plain, longer, empty, folder.path() / "none", folder.path()}) {
    EXPECT_FALSE(KeyStore::is_database(no)) << no;
  }
  EXPECT_THROW(KeyStore(plain, true), IoError);
  const std::string key = create();
  EXPECT_TRUE(KeyStore::is_database(file));

  Database(folder.path() / "other.db", Database::Mode::kCreate).run("CREATE TABLE a(b)");
  EXPECT_THROW(KeyStore(folder.path() / "other.db", true), DataError);

  const fs::path pepper = file.string() + ".pepper", kept = folder.path() / "kept";
  fs::rename(pepper, kept);
  EXPECT_THROW(open(), IoError);
  EXPECT_FALSE(fs::exists(pepper));
  std::ofstream(pepper) << std::string(32, 'x');
  fs::permissions(pepper, fs::perms(0600));
  EXPECT_THROW(open(), DataError);
  fs::rename(kept, pepper);
  fs::permissions(pepper, fs::perms(0604));
  EXPECT_THROW(open(), IoError);
  fs::permissions(pepper, fs::perms(0600));
  const std::string secret = test::content_of(pepper);
  {
    KeyGuard guard(file, clock());
    EXPECT_EQ(status(guard, key), 200);
  }
  // An existing pepper is used, not replaced, because it may belong to the backup.
  fs::remove(file);
  create();
  EXPECT_EQ(test::content_of(pepper), secret);
}

TEST_F(KeyStoreTest, RefusesInvalidKeys) {
  KeyStore store = open();
  EXPECT_THROW(store.create({.name = "a\nb"}), ValueError);
  EXPECT_THROW(store.create({.name = std::string(201, 'a')}), ValueError);
  EXPECT_THROW(store.create({.name = "\xff"}), ValueError);
  EXPECT_THROW(store.create({.scopes = {}}), ValueError);
  EXPECT_THROW(store.create({.quotas = {.tokens_per_day = -1}}), ValueError);
  const std::string key = store.create({.name = "情感'; DROP TABLE keys; --"});
  EXPECT_THROW(store.rotate(id(key), -1), ValueError);
  EXPECT_EQ(store.keys().at(0).name, "情感'; DROP TABLE keys; --");
  EXPECT_EQ(store.keys().size(), 1U);
}

TEST_F(KeyStoreTest, AClockThatWasAheadDoesNotForgetTheDay) {
  const std::string key = create({.quotas = {.requests_per_day = 2}});
  KeyGuard guard(file, clock());
  EXPECT_EQ(status(guard, key), 200);
  EXPECT_EQ(status(guard, key), 200);
  guard.synchronize();
  now += 400 * kDay;
  guard.synchronize();
  EXPECT_EQ(status(guard, key), 200);  // another day
  guard.synchronize();
  now -= 400 * kDay;
  guard.synchronize();
  EXPECT_EQ(status(guard, key), 429);
}

}  // namespace
}  // namespace qing::serve
