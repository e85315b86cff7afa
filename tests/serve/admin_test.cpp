// Changes of models through the admin routes, and what the routes say of refused ones.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>
#include <tuple>

#include "nn/temp_folder.h"
#include "serve/fake_models.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

class AdminTest : public ServeTest {
 protected:
  AdminTest() {
    for (const char* folder : {"mood/1", "mood/2"}) fs::create_directories(root.path() / folder);
    registry = std::make_shared<Registry>(root.path(), [this](const fs::path& folder) {
      ++loads;
      while (held) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return load_fake(folder);
    });
    registry->load();
    options.limits.predict_time = std::chrono::milliseconds(100);
    server = std::make_unique<Server>(options, registry);
    server->start();
  }
  RawResponse send(std::string_view method, std::string_view path, std::string_view body = "",
                   std::string_view headers = "") {
    return ask(fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{}\r\n{}", method, path, body.size(),
                           headers, body));
  }
  std::string code(const RawResponse& response) {
    const size_t at = response.body.find(R"("code":")");
    return at == std::string::npos ? "" : response.body.substr(at + 8, response.body.find('"', at + 8) - at - 8);
  }

  TempFolder root;
  std::atomic<bool> held = false;
  std::atomic<int> loads = 0;
};

TEST_F(AdminTest, ChangesModelsAndAliases) {
  EXPECT_EQ(send("POST", "/v1/admin/models/mood/load", R"({"version":1})").body,
            R"({"name":"mood","version":"1","versions":["1","2"],"previous":"2"})");
  EXPECT_EQ(send("POST", "/v1/admin/models/mood/rollback").body,
            R"({"name":"mood","version":"2","versions":["1","2"],"previous":"1"})");
  EXPECT_EQ(send("PUT", "/v1/admin/aliases/live", R"({"model":"mood","version":"1"})").body,
            R"({"aliases":{"live":{"model":"mood","version":"1"}}})");
  EXPECT_NE(ask(post(R"({"text":"a"})", "", "/v1/models/live/predict")).body.find(R"("model":"mood","version":"1")"),
            std::string::npos);
  EXPECT_EQ(ask(get("/v2/models/mood/versions/1/ready")).status, 200);
  EXPECT_EQ(send("DELETE", "/v1/admin/aliases/live").body, R"({"aliases":{}})");
  EXPECT_EQ(ask(get("/v1/models/live")).status, 404);
  EXPECT_EQ(ask(get("/v2/models/mood/versions/1/ready")).status, 404);
  const std::string parameters = R"({"parameters":{"unload_dependents":false}})";
  EXPECT_EQ(send("POST", "/v2/repository/models/mood/unload", parameters).status, 200);
  EXPECT_EQ(ask(get("/health/ready")).status, 503);
  EXPECT_EQ(send("POST", "/v2/repository/models/mood/load").status, 200);
  EXPECT_EQ(ask(get("/health/ready")).status, 200);
}

TEST_F(AdminTest, TakesANullForAnAbsentMember) {
  EXPECT_EQ(send("POST", "/v1/admin/models/mood/load", R"({"version":null})").status, 200);
  EXPECT_EQ(send("PUT", "/v1/admin/models/mood/trial", R"({"version":1,"share":null,"shadow":null})").status, 200);
  EXPECT_EQ(send("DELETE", "/v1/admin/models/mood/trial").status, 200);
  EXPECT_EQ(send("PUT", "/v1/admin/aliases/live", R"({"model":"mood","version":null})").status, 200);
  EXPECT_EQ(code(send("PUT", "/v1/admin/aliases/live", R"({"model":null})")), "unacceptable_field");
  EXPECT_EQ(send("DELETE", "/v1/admin/aliases/live").status, 200);
  for (const char* body : {R"({"parameters":null})", R"({"parameters":{"config":null}})"}) {
    EXPECT_EQ(send("POST", "/v2/repository/models/mood/load", body).status, 200) << body;
  }
}

// The listed versions answer requests, and the index gives the reason for the others.
TEST_F(AdminTest, TheRepositoryIndexTellsTheStateOfEveryVersion) {
  const auto entry = [](std::string_view name, int version, std::string_view reason) {
    const bool ready = reason.empty();
    return fmt::format(R"({{"name":"{}","version":"{}","state":"{}","reason":"{}"}})", name, version,
                       ready ? "READY" : "UNAVAILABLE", reason);
  };
  const auto index = [&](std::string_view body = "") { return send("POST", "/v2/repository/index", body).body; };
  const auto versions = [&] {
    const std::string body = ask(get("/v2/models/mood")).body;
    const size_t begin = body.find(R"("versions":)") + 11;
    return body.substr(begin, body.find(']', begin) + 1 - begin);
  };
  EXPECT_EQ(index(), "[" + entry("mood", 2, "") + "]");
  EXPECT_EQ(versions(), R"(["2"])");
  EXPECT_EQ(ask(get("/v2/models/mood/versions/1")).status, 404);  // in the folder, but not loaded
  send("PUT", "/v1/admin/aliases/live", R"({"model":"mood","version":"1"})");
  EXPECT_EQ(index(), "[" + entry("mood", 1, "") + "," + entry("mood", 2, "") + "]");
  EXPECT_EQ(versions(), R"(["1","2"])");
  EXPECT_EQ(ask(get("/v2/models/mood/versions/1")).status, 200);
  send("DELETE", "/v1/admin/aliases/live");
  EXPECT_EQ(versions(), R"(["2"])");

  fs::create_directories(root.path() / "mood/3/broken");
  fs::create_directories(root.path() / "other/1/broken");
  send("POST", "/v1/admin/rescan");
  const std::string failed = entry("mood", 3, "broken weights") + "," + entry("other", 1, "broken weights");
  EXPECT_EQ(index(), "[" + entry("mood", 2, "") + "," + failed + "]");
  EXPECT_EQ(index(R"({"ready":true})"), "[" + entry("mood", 2, "") + "]");
  EXPECT_EQ(index(R"({"ready":false})"), index(R"({"ready":null})"));
  EXPECT_EQ(index(R"({"ready":null})"), index());
  EXPECT_EQ(versions(), R"(["2"])");

  // The index lists the version that a load would take, and an unloaded model does not count as failed.
  send("POST", "/v2/repository/models/mood/unload");
  EXPECT_EQ(index(R"({"ready":true})"), "[]");
  EXPECT_NE(index().find(R"("name":"mood")"), std::string::npos);
  EXPECT_NE(index().find(R"("state":"UNAVAILABLE","reason":"unloaded")"), std::string::npos) << index();
  fs::remove_all(root.path() / "mood/3");
  EXPECT_EQ(send("POST", "/v2/repository/models/mood/load").status, 200);
  EXPECT_EQ(index(), "[" + entry("mood", 2, "") + "," + entry("other", 1, "broken weights") + "]");

  EXPECT_EQ(send("POST", "/v2/repository/index", R"({"ready":1})").status, 422);
  EXPECT_EQ(send("POST", "/v2/repository/index", R"({"Ready":true})").status, 422);
  EXPECT_EQ(send("POST", "/v2/repository/index", "{").status, 400);
}

TEST_F(AdminTest, RefusesInvalidChanges) {
  fs::create_directories(root.path() / "mood/3/broken");
  fs::create_directories(root.path() / "mood/4/unreadable");
  const std::vector<std::tuple<std::string, std::string, std::string, int, std::string>> cases = {
      {"POST", "models/none/load", "", 404, "not_found"},
      {"POST", "models/../load", "", 404, "not_found"},
      {"POST", "models/mood/load", R"({"version":9})", 404, "not_found"},
      {"POST", "models/mood/load", R"({"version":3})", 422, "not_loaded"},
      {"POST", "models/mood/load", R"({"version":4})", 503, "not_readable"},
      {"POST", "models/mood/load", R"({"version":1.5})", 422, "unacceptable_field"},
      {"POST", "models/mood/load", R"({"version":-1})", 422, "unacceptable_field"},
      {"POST", "models/mood/load", R"({"path":"/"})", 422, "unacceptable_field"},
      {"POST", "models/mood/load", "{", 400, "malformed_json"},
      {"POST", "models/mood/rollback", "", 422, "unacceptable_change"},
      {"PUT", "aliases/live", "", 422, "unacceptable_field"},
      {"PUT", "aliases/mood", R"({"model":"mood"})", 422, "unacceptable_change"},
      {"DELETE", "aliases/live", "", 404, "not_found"},
  };
  for (const auto& [method, path, body, status, why] : cases) {
    const RawResponse response = send(method, "/v1/admin/" + path, body);
    EXPECT_EQ(response.status, status) << path << body << response.body;
    EXPECT_EQ(code(response), why) << path << body;
    EXPECT_EQ(response.has("Retry-After"), status == 503) << path << body;
  }
  EXPECT_NE(ask(get("/v1/models/mood")).body.find(R"("version":"2","versions":["1","2"],)"), std::string::npos);
  EXPECT_NE(ask(get("/v1/models/mood")).body.find("too many open files"), std::string::npos) << "the last failure";
  const std::string config = R"({"parameters":{"config":"{}"}})";
  EXPECT_EQ(send("POST", "/v2/repository/models/mood/load", config).status, 422);
}

TEST_F(AdminTest, DoesNotRepeatBytesThatAreNotText) {
  for (const char* path : {"models/\xff/unload", "models/\xff/rollback", "models/\xff/load"}) {
    const RawResponse response = send("POST", std::string("/v1/admin/") + path);
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(response.body.find('\xff'), std::string::npos) << path;
  }
}

TEST_F(AdminTest, ARescanNamesWhatFailed) {
  EXPECT_EQ(send("POST", "/v1/admin/rescan").body, R"({"failed":{}})");
  fs::create_directories(root.path() / "mood/3/broken");
  EXPECT_EQ(send("POST", "/v1/admin/rescan").body, R"({"failed":{"mood":"version 3: broken weights"}})");
}

TEST_F(AdminTest, SaysThatAChoiceCouldNotBeWritten) {
  fs::create_directories(root.path() / ChoiceFiles::kFile / "in_the_way");
  const RawResponse response = send("POST", "/v1/admin/models/mood/load", R"({"version":1})");
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(code(response), "not_written");
  EXPECT_NE(ask(get("/v1/models/mood")).body.find(R"("version":"2")"), std::string::npos);
}

TEST_F(AdminTest, RefusesRequestsOfWebPages) {
  const int before = loads;
  for (const char* header : {"Origin: http://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"}) {
    EXPECT_EQ(code(send("POST", "/v1/admin/models/mood/load", "", header)), "from_a_page") << header;
    EXPECT_EQ(code(send("POST", "/v2/repository/models/mood/unload", "", header)), "from_a_page") << header;
  }
  EXPECT_EQ(loads, before);
  EXPECT_TRUE(registry->ready());
}

// A page whose name was made to point to this server is of the same origin for the browser.
TEST_F(AdminTest, TakesRequestsOfItsOwnPageByAnAddressOnly) {
  const auto change = [this](const std::string& host) {
    RawClient client(server->port());
    client.send("POST /v1/admin/models/mood/load HTTP/1.1\r\nHost: " + host + "\r\nOrigin: http://" + host +
                "\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n\r\n");
    return client.receive().status;
  };
  EXPECT_EQ(change("127.0.0.1:8080"), 200);
  EXPECT_EQ(change("localhost:8080"), 200);
  EXPECT_EQ(change("[::1]:8080"), 200);
  EXPECT_EQ(change("rebound.example:8080"), 403);
  EXPECT_EQ(change("127.0.0.1.rebound.example"), 403);
}

TEST_F(AdminTest, AnswersWhileAModelLoads) {
  held = true;
  const int before = loads;
  RawClient admin(server->port());
  admin.send("POST /v1/admin/models/mood/load HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  while (loads == before) std::this_thread::yield();
  EXPECT_EQ(ask(get("/health/ready")).status, 200);
  EXPECT_EQ(ask(post(R"({"text":"a"})")).status, 200);
  std::this_thread::sleep_for(2 * options.limits.predict_time);  // a change has no deadline
  held = false;
  EXPECT_EQ(admin.receive().status, 200);
}

}  // namespace
}  // namespace qing::serve
