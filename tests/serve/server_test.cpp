// The service over real sockets: its answers and every status, keys, starts.
#include "serve/serve_fixture.h"

#include <filesystem>
#include <fstream>

namespace qing::serve {
namespace {

TEST_F(ServeTest, PredictsTextsInOrder) {
  start();
  const RawResponse response = ask(post(R"({"texts":["abc","a","情"]})"));
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.has("Content-Type: application/json"));
  const std::string negative =
      R"({"label":"negative","score":0.5,"scores":{"negative":0.5,"neutral":0.25,"positive":0.25},"truncated":false})";
  const std::string neutral =
      R"({"label":"neutral","score":0.5,"scores":{"negative":0.25,"neutral":0.5,"positive":0.25},"truncated":false})";
  EXPECT_EQ(response.body,
            R"({"model":"mood","version":"2","predictions":[)" + negative + "," + neutral + "," + negative + "]}");
}

TEST_F(ServeTest, PredictsOneTextAndNone) {
  start();
  EXPECT_TRUE(ask(post(R"({"text":"ab"})")).body.find(R"("label":"positive")") != std::string::npos);
  EXPECT_EQ(ask(post(R"({"texts":[]})")).body, R"({"model":"mood","version":"2","predictions":[]})");
}

TEST_F(ServeTest, ListsModelsAndHealth) {
  start();
  const std::string model =
      R"({"name":"mood","ready":true,"version":"2","versions":["2"],"served_versions":["2"],"task":"classification","labels":["negative","neutral","positive"],)"
      R"("ngrams":false,"explains":false,"limits":{"texts":1024,"explained_texts":64,"text_bytes":262144,"body_bytes":4194304}})";
  const std::int64_t loaded = registry->find("mood")->loaded;
  EXPECT_GT(loaded, 1'700'000'000);  // seconds since 1970, not since the machine's start
  const std::string openai = fmt::format(R"("id":"mood","object":"model","created":{},"owned_by":"qing"}})", loaded);
  EXPECT_EQ(ask(get("/v1/models")).body, R"({"models":[)" + model + R"(],"object":"list","data":[{)" + openai + "]}");
  EXPECT_EQ(ask(get("/v1/models/mood?x=1")).body, model.substr(0, model.size() - 1) + "," + openai);
  EXPECT_EQ(ask(get("/health/live")).status, 200);
  EXPECT_EQ(ask(get("/health/ready")).status, 200);
}

TEST_F(ServeTest, NamesRequestsAndPassesTracesOn) {
  start();
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const RawResponse named = ask(get("/v1/models", "x-request-id: mine-1\r\nTraceParent: " + trace + "\r\n"));
  EXPECT_TRUE(named.has("X-Request-Id: mine-1\r\n"));
  EXPECT_TRUE(named.has("traceparent: " + trace + "\r\n"));
  const RawResponse refused = ask(get("/nothing", "traceparent: nonsense\r\n"));
  EXPECT_TRUE(refused.has("X-Request-Id: "));
  EXPECT_FALSE(refused.has("traceparent"));
}

TEST_F(ServeTest, IsNotReadyWithoutModels) {
  server = std::make_unique<Server>(options, registry);
  server->start();
  const RawResponse response = ask(get("/health/ready"));
  EXPECT_EQ(response.status, 503);
  EXPECT_TRUE(response.has("Retry-After: 1\r\n"));
  EXPECT_EQ(ask(get("/health/live")).status, 200);
  EXPECT_EQ(ask(post(R"({"text":"a"})")).status, 503);
}

TEST_F(ServeTest, RefusesMalformedJson) {
  start();
  for (const std::string& body :
       {std::string("{"), std::string(""), std::string(R"({"text":"a"} x)"), std::string(R"({"text":"a",})"),
        std::string("{'text':'a'}"), std::string("{\"text\":\"\xff\xfe\"}"), std::string("{\"text\":\"\xed\xa0\x80\"}"),
        std::string("{\"text\":\"\xc0\xaf\"}"), std::string(R"({"text":"\ud800"})"), std::string("{\"text\":\"a\nb\"}"),
        std::string(1000, '[')}) {
    const RawResponse response = ask(post(body));
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_NE(response.body.find(R"("code":"malformed_json")"), std::string::npos) << response.body;
  }
}

TEST_F(ServeTest, RefusesUnacceptableFieldsByName) {
  options.limits.texts = 2;
  options.limits.text_bytes = 8;
  start();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[]", "body:"},
      {R"({"text":"a","more":1})", "more: this route does not take it; it takes "},
      {R"({"text":"a","two words":1})", "body: has a field that this route does not take; it takes "},
      {R"({"text":"a","m\"re":1})", "body: has a field that"},
      {"{}", "texts:"},
      {R"({"text":"a","texts":["b"]})", "texts:"},
      {R"({"texts":"a"})", "texts:"},
      {R"({"texts":["a",3]})", "texts[1]:"},
      {R"({"text":null})", "text:"},
      {R"({"texts":["a","b","c"]})", "limit of 2"},
      {R"({"texts":["a","123456789"]})", "texts[1]: 9 bytes exceed the limit of 8"},
      {R"({"text":"poison"})", "text:"},
  };
  for (const auto& [body, why] : cases) {
    const RawResponse response = ask(post(body));
    EXPECT_EQ(response.status, 422) << body;
    EXPECT_NE(response.body.find(why), std::string::npos) << response.body;
  }
}

// A member that is null counts as absent, whether the route knows it or not.
TEST_F(ServeTest, TakesANullForAnAbsentMember) {
  start();
  const std::string plain = ask(post(R"({"text":"a"})")).body;
  EXPECT_NE(plain.find("predictions"), std::string::npos);
  for (const char* body : {R"({"text":"a","texts":null})", R"({"texts":["a"],"text":null})",
                           R"({"text":"a","explain":null})", R"({"text":"a","more":null})"}) {
    EXPECT_EQ(ask(post(body)).body, plain) << body;
  }
}

TEST_F(ServeTest, RefusesToExplainWithAModelWithoutExplanations) {
  start();
  const RawResponse refused = ask(post(R"({"texts":["a"],"explain":true})"));
  EXPECT_EQ(refused.status, 422);
  EXPECT_NE(refused.body.find("explain: this model has no explanations"), std::string::npos);
}

TEST_F(ServeTest, OnlyTheModelsOwnPathsAnswerOpenAIsClientsInTheServicesForm) {
  start();
  for (const char* path : {"/v1/modelsx", "/v1/models-of-others/mood"}) {
    EXPECT_EQ(ask(get(path)).body.find(R"({"error":{"message":)"), 0U) << path;
  }
  EXPECT_EQ(ask(get("/v1/models/none")).body.find(R"({"error":")"), 0U);
}

TEST_F(ServeTest, APathMayEndInASlash) {
  start();
  for (const char* path : {"/v1/models", "/v1/models/mood", "/v2", "/v2/health/ready", "/v2/models/mood", "/health",
                           "/v2/models/mood/versions/2/ready", "/openapi.json", "/metrics"}) {
    const RawResponse plain = ask(get(path)), slash = ask(get(std::string(path) + "/"));
    EXPECT_EQ(plain.status, 200) << path;
    EXPECT_EQ(slash.status, 200) << path;
  }
  EXPECT_EQ(ask(post(R"({"text":"a"})", "", "/v1/models/mood/predict/")).status, 200);
  EXPECT_EQ(ask(get("//")).status, 404);
  EXPECT_EQ(ask(get("/v2//")).status, 404);
}

// OpenAI's clients expect "error" to be an object on their routes. The service's own clients expect a text.
TEST_F(ServeTest, ErrorsHaveOpenAisFormOnItsRoutes) {
  start();
  const std::string client = "X-Stainless-Lang: python\r\n";
  for (const char* path : {"/v1/chat/completions", "/v1/responses", "/v1/moderations", "/v1/assistants/"}) {
    const RawResponse response = ask(post("{}", "", path));
    EXPECT_EQ(response.status, 404) << path;
    EXPECT_EQ(response.body, R"({"error":{"message":"no such route; /openapi.json lists them",)"
                             R"("type":"invalid_request_error","param":null,"code":"unknown_route"}})")
        << path;
  }
  EXPECT_NE(ask(get("/v1/models/other", client)).body.find(R"({"error":{"message":"no model named 'other')"),
            std::string::npos);
  for (const char* path : {"/v1/models/other", "/v2/models/other", "/v1/admin/other", "/other"}) {
    EXPECT_NE(ask(get(path)).body.find(R"({"error":")"), std::string::npos) << path;
  }
  for (const char* path : {"/v2/models/other", "/v1/admin/other"}) {
    EXPECT_NE(ask(get(path, client)).body.find(R"({"error":")"), std::string::npos) << path;
  }
}

TEST_F(ServeTest, RefusesUnknownRoutesMethodsAndTypes) {
  start();
  EXPECT_NE(ask(get("/v1/models/other")).body.find(R"("code":"unknown_model")"), std::string::npos);
  EXPECT_EQ(ask(post("{}", "", "/v1/models/other/predict")).status, 404);
  for (const char* path : {"/nothing", "/v1", "/v1/modelsx", "/v1/models/mood//", "/v1/models/mood/predict/x"}) {
    EXPECT_NE(ask(get(path)).body.find(R"("code":"unknown_route")"), std::string::npos) << path;
  }
  EXPECT_EQ(ask(get("/v1/models/../mood")).status, 404);
  const RawResponse predict = ask(get("/v1/models/mood/predict"));
  EXPECT_EQ(predict.status, 405);
  EXPECT_TRUE(predict.has("Allow: POST\r\n"));
  const RawResponse models = ask(post("{}", "", "/v1/models"));
  EXPECT_EQ(models.status, 405);
  EXPECT_TRUE(models.has("Allow: GET, HEAD\r\n"));
  const std::string line = "POST /v1/models/mood/predict HTTP/1.1\r\nHost: x\r\n";
  EXPECT_EQ(ask(line + "Content-Type: application/json\r\n\r\n").status, 411);
  EXPECT_EQ(ask(line + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}").status, 415);
  EXPECT_EQ(ask(line + "Content-Type: application/json; charset=gbk\r\nContent-Length: 2\r\n\r\n{}").status, 415);
  EXPECT_EQ(ask(line + "Content-Type: Application/JSON; charset=UTF-8\r\nContent-Length: 2\r\n\r\n{}").status, 422);
}

TEST_F(ServeTest, StartsOnASecondTryButNotAfterStop) {
  start();
  ServerOptions taken = options;
  taken.port = server->port();
  Server second(taken, registry);
  EXPECT_THROW(second.start(), IoError);
  server->stop();
  second.start();
  EXPECT_EQ(second.port(), taken.port);
  second.stop();
  EXPECT_THROW(second.start(), ValueError);
}

TEST_F(ServeTest, RefusesWhenTheQueueIsFull) {
  options.limits.queue_texts = 2;
  start();
  const RawResponse never = ask(post(R"({"texts":["d","e","f"]})"));
  EXPECT_EQ(never.status, 422) << "there will be no room later either";
  EXPECT_NE(never.body.find("limits of 2 texts"), std::string::npos) << never.body;
  classifier->hold();
  RawClient busy(server->port());
  busy.send(post(R"({"text":"a"})"));
  classifier->wait_for_batches(1);
  RawClient waiting(server->port());
  waiting.send(post(R"({"texts":["b","c"]})"));
  EXPECT_EQ(ask(get("/v1/models")).status, 200);  // its answer shows that the previous request has been queued, too
  const RawResponse refused = ask(post(R"({"text":"d"})"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.has("Retry-After: 1\r\n"));
  EXPECT_NE(refused.body.find(R"("code":"queue_full")"), std::string::npos);
  classifier->release();
  EXPECT_EQ(busy.receive().status, 200);
  EXPECT_EQ(waiting.receive().status, 200);
}

TEST_F(ServeTest, AsksForKeys) {
  const auto file = std::filesystem::path(::testing::TempDir()) / fmt::format("qing_keys_{}", ::getpid());
  std::ofstream(file) << "# team\n\nfirst-key-0123456789\nsecond-key-0123456789\r\n";
  std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  options.keys_file = file;
  start();
  EXPECT_EQ(ask(get("/health/ready")).status, 200);
  const RawResponse none = ask(get("/v1/models"));
  EXPECT_EQ(none.status, 401);
  EXPECT_TRUE(none.has("WWW-Authenticate: Bearer\r\n"));
  EXPECT_EQ(ask(get("/v1/models", "Authorization: Bearer first-key-0123456780\r\n")).status, 401);
  EXPECT_EQ(ask(get("/v1/models", "Authorization: Bearer first-key-012345678\r\n")).status, 401);
  EXPECT_EQ(ask(get("/v1/models", "Authorization: Basic first-key-0123456789\r\n")).status, 401);
  EXPECT_EQ(ask(get("/v1/models", "Authorization: Bearer first-key-0123456789\r\n")).status, 200);
  EXPECT_EQ(ask(get("/v1/models", "authorization: bearer second-key-0123456789\r\n")).status, 200);
  EXPECT_EQ(ask(post(R"({"text":"a"})", "X-API-Key: second-key-0123456789\r\n")).status, 200);
  EXPECT_EQ(ask(post(R"({"text":"a"})")).status, 401);
  std::filesystem::remove(file);
}

TEST_F(ServeTest, RefusesToStartOpenToOthersWithoutKeys) {
  options.address = "0.0.0.0";
  EXPECT_THROW(Server(options, registry), ValueError);
  options.allow_no_keys = true;
  EXPECT_NO_THROW(Server(options, registry));
  options.address = "not an address";
  EXPECT_THROW(Server(options, registry), ValueError);
  EXPECT_THROW(Server(ServerOptions{}, nullptr), ValueError);
}

TEST_F(ServeTest, NamesAPortInUse) {
  start();
  options.port = server->port();
  Server second(options, registry);
  EXPECT_THROW(second.start(), IoError);
}

}  // namespace
}  // namespace qing::serve
