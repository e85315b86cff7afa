// The keys of a store with a running service.
#include "serve/serve_fixture.h"

#include <algorithm>
#include <string>
#include <vector>

#include <qing/serve/keys/key_store.h>

#include "nn/temp_folder.h"

namespace qing::serve {
namespace {

TEST_F(ServeTest, HoldsRequestsToTheKeysOfAStore) {
  const test::TempFolder folder;
  options.keys_file = folder.path() / "keys.db";
  KeyStore store(options.keys_file, true);
  const std::string predict = store.create({.quotas = {.requests_per_day = 3}}),
                    admin = store.create({.scopes = {.admin = true}}),
                    metrics = store.create({.scopes = {.metrics = true}});
  start();
  const auto with = [](const std::string& key) { return "X-API-Key: " + key + "\r\n"; };
  EXPECT_EQ(ask(get("/health/ready")).status, 200);
  const RawResponse without = ask(get("/v1/models"));
  EXPECT_EQ(without.status, 401);
  const std::string revoked = store.create({}), wrong = predict.substr(0, 17) + admin.substr(17);
  store.revoke(KeyStore::id_of(revoked));
  for (const std::string& key : {wrong, revoked, std::string("no key at all")}) {
    EXPECT_EQ(ask(get("/v1/models", with(key))).body, without.body);  // the answer does not reveal which reason it is
  }
  EXPECT_EQ(ask(get("/v1/models", with(admin))).status, 403);
  EXPECT_EQ(ask(get("/metrics", with(metrics))).status, 200);
  EXPECT_EQ(ask(get("/v1/admin/aliases", with(predict))).status, 403);
  EXPECT_EQ(ask(get("/v1/admin/aliases", with(admin))).status, 200);
  for (const char* path : {"/v1/admin/models/mood/unload", "/v2/repository/models/mood/unload", "/v1/admin/rescan"}) {
    EXPECT_EQ(ask(post("{}", with(predict), path)).status, 403) << path;
  }
  EXPECT_EQ(ask(get("/v1/models", with(predict))).status, 200);
  EXPECT_EQ(ask(post(R"({"texts":["four","seven77"]})", with(predict))).status, 200);
  EXPECT_EQ(ask(get("/v1/models", "Authorization: Bearer " + predict + "\r\n")).status, 200);
  const RawResponse over = ask(post(R"({"text":"a"})", with(predict)));
  EXPECT_EQ(over.status, 429);
  EXPECT_TRUE(over.has("Retry-After: "));
  EXPECT_NE(over.body.find(R"("code":"quota")"), std::string::npos);
  server.reset();
  for (const KeyUsage& row : store.usage(0)) {
    if (row.id != KeyStore::id_of(predict)) continue;
    EXPECT_EQ(row.requests, 3);
    EXPECT_EQ(row.tokens, 11);
  }
  EXPECT_EQ(store.usage(0).size(), 3U);
}

// A caller that left or did not wait is still charged for the computed tokens.
TEST_F(ServeTest, ChargesForAnswersThatNobodyWaitedFor) {
  const test::TempFolder folder;
  options.keys_file = folder.path() / "keys.db";
  KeyStore store(options.keys_file, true);
  const std::string key = store.create({});
  start();
  classifier->hold();
  const std::string hasty = "Request-Timeout: 0.05\r\nX-API-Key: " + key + "\r\n";
  EXPECT_EQ(ask(post(R"({"texts":["four","seven77"]})", hasty)).status, 504);
  classifier->release();
  server.reset();
  ASSERT_EQ(store.usage(0).size(), 1U);
  EXPECT_EQ(store.usage(0).front().tokens, 11);
}

// A key that has queued much makes room for a key that has not.
TEST_F(ServeTest, ServesTheKeysOfAStoreInRotation) {
  const test::TempFolder folder;
  options.keys_file = folder.path() / "keys.db";
  options.limits.batch_texts = 2;
  KeyStore store(options.keys_file, true);
  const std::string busy = "X-API-Key: " + store.create({}) + "\r\n", calm = "X-API-Key: " + store.create({}) + "\r\n";
  start();
  classifier->hold();
  RawClient first(server->port()), second(server->port()), third(server->port());
  first.send(post(R"({"texts":["first"]})", busy));
  classifier->wait_for_batches(1);
  second.send(post(R"({"texts":["b1","b2","b3","b4","b5","b6"]})", busy));
  // Its answer shows that the previous request has been queued, too.
  EXPECT_EQ(ask(get("/v1/models", busy)).status, 200);
  third.send(post(R"({"texts":["calm"]})", calm));
  EXPECT_EQ(ask(get("/v1/models", calm)).status, 200);
  classifier->release();
  for (RawClient* client : {&first, &second, &third}) EXPECT_EQ(client->receive().status, 200);
  std::vector<std::string> order;
  for (const auto& batch : classifier->batches()) order.insert(order.end(), batch.begin(), batch.end());
  const auto place = [&](const char* text) { return std::ranges::find(order, text) - order.begin(); };
  EXPECT_LT(place("calm"), place("b6"));
}

}  // namespace
}  // namespace qing::serve
