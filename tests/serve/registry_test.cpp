// Changes of a registry, without a socket and through the admin routes.
#include "serve/serve_fixture.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>
#include <tuple>

#include "nn/temp_folder.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

class NotANumber : public FakeClassifier {
 public:
  std::vector<nn::Prediction> predict_encoded(std::span<const nn::EncodedText> encodings) const override {
    return std::vector<nn::Prediction>(encodings.size(), {0, std::vector<float>(3, std::nanf("")), 1, false});
  }
};

class TwiceNamed : public FakeClassifier {
 public:
  const std::vector<std::string>& labels() const override {
    static const std::vector<std::string> kLabels = {"x", "y", "x"};
    return kLabels;
  }
};

// A folder "broken" makes the loader throw. "nan" loads but predicts NaN. "twice" has two labels with one name.
std::shared_ptr<const nn::TextClassifier> load_fake(const fs::path& folder) {
  if (fs::exists(folder / "broken") || !fs::exists(folder)) throw IoError("broken weights");
  if (fs::exists(folder / "nan")) return std::make_shared<NotANumber>();
  if (fs::exists(folder / "twice")) return std::make_shared<TwiceNamed>();
  return std::make_shared<FakeClassifier>();
}

class RegistryChanges : public ::testing::Test {
 protected:
  void have(const std::string& folder) { fs::create_directories(root.path() / folder); }
  Registry reopened() { return Registry(root.path(), load_fake); }

  TempFolder root;
};

TEST_F(RegistryChanges, LoadsRollsBackAndRemembers) {
  have("mood/1"), have("mood/2");
  {
    Registry registry = reopened();
    registry.load();
    EXPECT_THROW(registry.rollback("mood"), ValueError);
    EXPECT_EQ(registry.load("mood", 1).version, 1);
    EXPECT_EQ(registry.find("mood")->previous, 2);
    EXPECT_EQ(registry.rollback("mood").version, 2);
    EXPECT_EQ(registry.rollback("mood").version, 1);
    registry.rescan();
    EXPECT_EQ(registry.find("mood")->version, 1);
  }
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.find("mood")->version, 1);
  EXPECT_EQ(registry.find("mood")->previous, 2);
  have("mood/3");
  registry.rescan();
  EXPECT_EQ(registry.find("mood")->version, 3);
  EXPECT_EQ(registry.rollback("mood").version, 1);
}

TEST_F(RegistryChanges, AFailureReplacesNothingAndStaysWithTheModel) {
  have("mood/1");
  Registry registry = reopened();
  registry.load();
  const auto good = registry.find("mood")->classifier;
  EXPECT_THROW(registry.add("twice", 1, std::make_shared<TwiceNamed>()), ValueError);
  for (const char* bad : {"mood/2/broken", "mood/3/nan", "mood/4/twice"}) {
    have(bad);
    EXPECT_THROW(registry.load("mood", 0), DataError) << bad;
    registry.rescan();
    const Model model = *registry.find("mood");
    EXPECT_EQ(model.version, 1);
    EXPECT_EQ(model.classifier, good);
    EXPECT_NE(model.error.find(std::string("version ") + bad[5]), std::string::npos) << model.error;
  }
  EXPECT_FALSE(fs::exists(root.path() / ChoiceFiles::kFile));
  EXPECT_EQ(registry.load("mood", 1).error, "");
}

// A skipped folder must be logged.
TEST_F(RegistryChanges, NamesAFolderWithAnInvalidModelName) {
  have("情感分析/1");
  have(".hidden/1");
  Registry alone = reopened();
  const std::string why = test::message_of<DataError>([&] { alone.load(); });
  EXPECT_NE(why.find("情感分析: version 1: the folder's name is no model's name"), std::string::npos) << why;
  EXPECT_EQ(why.find("hidden"), std::string::npos);
  have("mood/1");
  have("a\xFF/2");
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.list().size(), 1U);
  const auto failures = registry.rescan();
  EXPECT_EQ(failures.size(), 2U);
  EXPECT_NE(failures.at("情感分析").why.find("rename the folder"), std::string::npos);
  EXPECT_TRUE(failures.contains("a\\xFF"));
}

TEST_F(RegistryChanges, NamesAFolderWithoutVersions) {
  have("flat"), have("named/v2"), have("empty"), have(".hidden/v2"), have("情感分析");
  root.write("flat/config.json", "{}");
  root.write("named/v2/config.json", "{}");
  root.write("情感分析/config.json", "{}");
  Registry alone = reopened();
  const std::string why = test::message_of<DataError>([&] { alone.load(); });
  EXPECT_NE(why.find("flat: holds no version; put the model into flat/1/"), std::string::npos) << why;
  have("mood/1");
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.list().size(), 1U);
  const auto failures = registry.rescan();
  EXPECT_EQ(failures.size(), 3U);
  EXPECT_EQ(failures.at("flat").text(), "holds no version; put the model into flat/1/");
  EXPECT_EQ(failures.at("named").text(), "holds no version; put the model into named/1/");
  EXPECT_EQ(failures.at("情感分析").text().find("holds no version; put the model into NAME/1/"), 0U);
  for (const auto& entry : registry.index()) EXPECT_EQ(entry.name, "mood") << entry.version;
  have("flat/1");
  EXPECT_EQ(registry.rescan().size(), 2U);
  EXPECT_TRUE(registry.find("flat"));
}

TEST_F(RegistryChanges, ABrokenNewVersionDoesNotPreventAStart) {
  have("mood/1");
  Registry first = reopened();
  first.load();
  first.load("mood", 1);
  have("mood/2/broken");
  Registry second = reopened();
  second.load();
  EXPECT_EQ(second.find("mood")->version, 1);
  EXPECT_NE(second.find("mood")->error.find("broken weights"), std::string::npos);
}

TEST_F(RegistryChanges, FailuresThatARunningServerSurvivesDoNotPreventAStart) {
  have("mood/1"), have("mood/2"), have("other/1"), have("third/1");
  Registry first = reopened();
  first.load();
  first.set_alias("stable", {"mood", 1});
  have("mood/3/broken"), have("mood/4/broken");
  root.write("third/limits.json", R"({"texts":"many"})");
  fs::create_symlink("loop", root.path() / "loop");  // cannot be looked into
  EXPECT_EQ(first.rescan().size(), 2U);
  EXPECT_EQ(first.find("mood")->version, 2);
  EXPECT_EQ(first.find("third")->version, 1);
  fs::remove_all(root.path() / "mood/1");
  Registry second = reopened();
  second.load();
  EXPECT_EQ(second.find("mood")->version, 2);
  EXPECT_NE(second.find("mood")->error.find("version 4: broken weights"), std::string::npos);
  EXPECT_EQ(second.find("other")->version, 1);
  EXPECT_FALSE(second.find("third").has_value());
  EXPECT_NE(second.failure("third").find("texts"), std::string::npos);
  EXPECT_FALSE(second.find("stable").has_value());
  for (const char* folder : {"mood/2", "other/1"}) have(std::string(folder) + "/broken");
  const std::string why = test::message_of<DataError>([&] { reopened().load(); });
  for (const char* part : {"mood: version 4", "other: version 1", "third: version 1"}) {
    EXPECT_NE(why.find(part), std::string::npos) << why;
  }
}

TEST_F(RegistryChanges, ServersOfAFolderKeepEachOthersChanges) {
  have("mood/1"), have("mood/2"), have("other/1");
  Registry a = reopened(), b = reopened();
  a.load(), b.load();
  a.set_alias("live", {"mood", 1});
  a.load("mood", 1);
  const auto other = b.find("other")->classifier;
  b.set_alias("last", {"other"});
  EXPECT_EQ(b.find("mood")->version, 2);
  EXPECT_TRUE(b.rescan().empty());
  EXPECT_EQ(b.find("mood")->version, 1);
  EXPECT_EQ(b.find("mood")->previous, 2);
  EXPECT_EQ(b.find("live")->version, 1);
  EXPECT_EQ(b.find("other")->classifier, other);  // not read again
  EXPECT_THROW(a.unload("other"), ValueError);    // b's alias, which a has not taken up
  b.remove_alias("live");
  b.unload("mood");
  EXPECT_TRUE(a.rescan().empty());
  EXPECT_FALSE(a.find("mood").has_value());
  EXPECT_FALSE(a.find("live").has_value());
  Registry c = reopened();
  c.load();
  EXPECT_EQ(c.find("last")->name, "other");
}

TEST_F(RegistryChanges, ANewModelDoesNotReplaceAnAlias) {
  have("mood/1");
  Registry registry = reopened();
  registry.load();
  registry.set_alias("live", {"mood"});
  have("live/1");
  EXPECT_THROW(registry.load("live", 0), ValueError);
  EXPECT_EQ(registry.rescan().count("live"), 1U);
  EXPECT_EQ(registry.find("live")->name, "mood");
  Registry again = reopened();
  again.load();
  EXPECT_EQ(again.find("live")->name, "mood");
}

TEST_F(RegistryChanges, AliasesSurviveARestart) {
  have("mood/1"), have("mood/2");
  {
    Registry registry = reopened();
    registry.load();
    registry.set_alias("live", {"mood"});
    registry.set_alias("stable", {"mood", 1});
    EXPECT_THROW(registry.set_alias("mood", {"mood"}), ValueError);
    EXPECT_THROW(registry.set_alias("../x", {"mood"}), ValueError);
    EXPECT_THROW(registry.set_alias("other", {"none"}), IndexError);
    EXPECT_THROW(registry.set_alias("other", {"mood", 7}), IndexError);
    EXPECT_THROW(registry.unload("mood"), ValueError);
  }
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.find("live")->version, 2);
  EXPECT_EQ(registry.find("live")->name, "mood");
  EXPECT_EQ(registry.find("stable")->version, 1);
  EXPECT_EQ(registry.find("mood", 1)->version, 1);
  registry.remove_alias("stable");
  EXPECT_FALSE(registry.find("stable").has_value());
  EXPECT_FALSE(registry.find("mood", 1).has_value());
  EXPECT_THROW(registry.remove_alias("stable"), IndexError);
}

TEST_F(RegistryChanges, AnUnloadedModelStaysUnloaded) {
  have("mood/1"), have("other/1");
  Registry registry = reopened();
  registry.load();
  registry.unload("mood");
  EXPECT_THROW(registry.unload("mood"), IndexError);
  have("mood/2");
  registry.rescan();
  EXPECT_FALSE(registry.find("mood").has_value());
  Registry again = reopened();
  again.load();
  EXPECT_FALSE(again.find("mood").has_value());
  EXPECT_EQ(again.load("mood", 0).version, 2);
}

TEST_F(RegistryChanges, KnowsOnlyNamesInItsFolder) {
  have("mood/1");
  Registry registry = reopened();
  registry.load();
  for (const char* name : {"none", "..", "../mood", "mood/1", ""}) {
    EXPECT_THROW(registry.load(name, 0), IndexError) << name;
  }
  EXPECT_THROW(registry.load("mood", 2), IndexError);
  Registry without;
  without.add("mood", 1, std::make_shared<FakeClassifier>());
  EXPECT_THROW(without.load("mood", 1), ValueError);
}

TEST_F(RegistryChanges, AChangeThatCannotBeWrittenDoesNotHappen) {
  have("mood/1"), have("mood/2");
  Registry registry = reopened();
  registry.load();
  have(std::string(ChoiceFiles::kFile) + "/in_the_way");
  EXPECT_THROW(registry.load("mood", 1), IoError);
  EXPECT_THROW(registry.set_alias("live", {"mood"}), IoError);
  EXPECT_EQ(registry.find("mood")->version, 2);
  EXPECT_FALSE(registry.find("live").has_value());
}

TEST_F(RegistryChanges, NamesAnUnreadableState) {
  have("mood/1");
  for (const char* text : {"", "{", "{}", R"({"models":[],"aliases":{}})", R"({"models":{"a":{}},"aliases":{}})",
                           R"({"models":{},"models":{},"aliases":{}})"}) {
    root.write(ChoiceFiles::kFile, text);
    const std::string why = test::message_of<DataError>([&] { reopened().load(); });
    EXPECT_NE(why.find(ChoiceFiles::kFile), std::string::npos) << text;
  }
}

// Versions of aliases and trials that cannot be loaded are in the index too, as long as the alias or trial exists.
TEST_F(RegistryChanges, TheIndexHasTheVersionsOfAliasesAndTrialsThatFailed) {
  have("mood/1"), have("mood/2"), have("mood/3");
  Registry first = reopened();
  first.load();
  first.set_alias("stable", {"mood", 1});
  first.set_trial("mood", {2, 0.5, false});
  EXPECT_EQ(first.served_versions("mood"), (std::vector<std::int64_t>{1, 2, 3}));
  have("mood/1/broken"), have("mood/2/broken");
  Registry second = reopened();
  second.load();
  EXPECT_EQ(second.served_versions("mood"), (std::vector<std::int64_t>{3}));
  const auto index = second.index();
  ASSERT_EQ(index.size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(index[i].version, static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ(index[i].ready, i == 2);
    EXPECT_EQ(index[i].reason, i == 2 ? "" : "broken weights");
  }
  second.remove_alias("stable");
  EXPECT_EQ(second.index().size(), 2U);
  fs::remove_all(root.path() / "mood/2/broken");
  second.set_trial("mood", {2, 0.5, false});
  EXPECT_EQ(second.served_versions("mood"), (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(second.index().size(), 2U);
}

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
  const std::vector<std::tuple<std::string, std::string, std::string, int, std::string>> cases = {
      {"POST", "models/none/load", "", 404, "not_found"},
      {"POST", "models/../load", "", 404, "not_found"},
      {"POST", "models/mood/load", R"({"version":9})", 404, "not_found"},
      {"POST", "models/mood/load", R"({"version":3})", 422, "not_loaded"},
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
  }
  EXPECT_NE(ask(get("/v1/models/mood")).body.find(R"("version":"2","versions":["1","2"],)"), std::string::npos);
  EXPECT_NE(ask(get("/v1/models/mood")).body.find("broken weights"), std::string::npos);
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

// Kubernetes mounts a volume like this: links into a folder whose name begins with two dots.
TEST_F(RegistryChanges, FollowsLinksAndSkipsFoldersThatAreNotVersions) {
  have("..2026_01/mood/1"), have("..2026_01/mood/05"), have("..2026_01/mood/99999999999999999999"), have("elsewhere/7");
  fs::create_directory_symlink("..2026_01", root.path() / "..data");
  fs::create_directory_symlink("..data/mood", root.path() / "mood");
  fs::create_directory_symlink("../../elsewhere/7", root.path() / "mood/2");
  fs::create_directory_symlink("nowhere", root.path() / "mood/3");
  root.write("..2026_01/mood/4", "a file");
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.find("mood")->version, 2);
  EXPECT_EQ(registry.find("mood")->versions, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(registry.list().size(), 2U);  // and elsewhere
}

}  // namespace
}  // namespace qing::serve
