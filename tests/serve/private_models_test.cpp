// A model that a job made exists for its project alone, on every route.
#include <future>
#include <memory>
#include <string>

#include <qing/serve/api.h>
#include <qing/serve/jobs/job_runner.h>

#include "nn/temp_folder.h"
#include "serve/serve_fixture.h"

namespace qing::serve {
namespace {

// A key's id is the key, and its project the part before the dash.
class ProjectKeys : public Gatekeeper {
 public:
  std::string admit(std::string_view key, Scope) override { return std::string(key); }
  bool allows(const std::string&, Scope) const override { return false; }
  std::string project(const std::string& id) const override { return id.substr(0, id.find('-')); }
  void charge_tokens(const std::string&, std::int64_t) override {}
};

class PrivateModels : public ::testing::Test {
 protected:
  PrivateModels() {
    registry->add("mood", 1, std::make_shared<FakeClassifier>());
    registry->add("ft-mood", 1, std::make_shared<FakeClassifier>());
    registry->set_alias("also", {"ft-mood", 0});
    Database database = state->open();
    jobs.owners().claim(database, "ft-mood", "a", "ftjob-1");
  }
  ~PrivateModels() override {
    api.stop_changes();
    batcher.stop();
  }
  HttpResponse ask(std::string_view key, std::string_view method, std::string_view path, std::string body = "",
                   std::string_view type = kJsonType) {
    HttpHead head;
    head.method = method;
    head.path = path;
    head.has_length = !body.empty();
    head.header = [&](std::string_view name) -> std::string_view {
      if (name == "X-API-Key") return key;
      return name == "Content-Type" ? type : std::string_view();
    };
    const Routed routed = api.route(head);
    if (routed.refusal) return *routed.refusal;
    std::promise<HttpResponse> promise;
    Reply reply([&promise](HttpResponse response) { promise.set_value(std::move(response)); });
    reply.key = routed.key;
    routed.run(std::move(body), std::move(reply));
    return promise.get_future().get();
  }

  test::TempFolder temp;
  std::shared_ptr<const State> state = std::make_shared<const State>(temp.path() / "state");
  std::shared_ptr<Registry> registry = std::make_shared<Registry>();
  JobRunner jobs{state, registry, {}};
  Limits limits;
  Batcher batcher{limits};
  Api api{registry, batcher, std::make_unique<ProjectKeys>(), limits, {}, state, &jobs};
};

TEST_F(PrivateModels, AreServedToTheirProject) {
  const std::string texts = R"({"text":"abc"})";
  for (const char* path : {"/v1/models/ft-mood/predict", "/v1/models/also/predict"}) {
    EXPECT_EQ(ask("a-1", "POST", path, texts).status, 200) << path;
    EXPECT_EQ(ask("a-2", "POST", path, texts).status, 200) << path;
  }
  EXPECT_NE(ask("a-1", "GET", "/v1/models").body.find(R"("owned_by":"a")"), std::string::npos);
  EXPECT_NE(ask("a-1", "GET", "/metrics").body.find("ft-mood"), std::string::npos);
  EXPECT_NE(ask("a-1", "POST", "/v2/repository/index").body.find("ft-mood"), std::string::npos);
}

TEST_F(PrivateModels, DoNotExistForOthers) {
  struct Request {
    const char *method, *before, *after, *body;
  };
  for (const Request& request : {
           Request{"GET", "/v1/models/", "", ""},
           {"POST", "/v1/models/", "/predict", R"({"text":"abc"})"},
           {"POST", "/v1/models/", ":predict", R"({"instances":["abc"]})"},
           {"POST", "/v1/models/", ":explain", R"({"instances":["abc"]})"},
           {"POST", "/models/", "", R"({"inputs":"abc"})"},
           {"POST", "/v1/models/", "", R"({"inputs":"abc"})"},
           {"GET", "/models/", "/info", ""},
           {"GET", "/models/", "/health", ""},
           {"GET", "/v2/models/", "", ""},
           {"GET", "/v2/models/", "/ready", ""},
           {"GET", "/v2/models/", "/versions/1", ""},
           {"POST", "/v2/models/", "/infer",
            R"({"inputs":[{"name":"t","shape":[1],"datatype":"BYTES","data":["abc"]}]})"},
           {"DELETE", "/v1/models/", "", ""},
       }) {
    const auto answer = [&](const std::string& name) {
      HttpResponse response = ask("b-1", request.method, request.before + name + request.after, request.body);
      for (size_t at = 0; (at = response.body.find(name, at)) != std::string::npos;) {
        response.body.replace(at, name.size(), "NAME");
      }
      return response;
    };
    const HttpResponse none = answer("none-such");
    EXPECT_EQ(none.status, 404) << request.before << request.after;
    for (const char* name : {"ft-mood", "also"}) {
      EXPECT_EQ(answer(name).status, 404) << request.before << name << request.after;
      EXPECT_EQ(answer(name).body, none.body);
    }
  }
  for (const char* path : {"/v1/classify", "/v1/embeddings"}) {
    const auto body = [](const std::string& name) { return R"({"model":")" + name + R"(","input":"abc"})"; };
    const HttpResponse hidden = ask("b-1", "POST", path, body("ft-mood"));
    EXPECT_EQ(hidden.status, 404) << path;
    EXPECT_NE(hidden.body.find("unknown_model"), std::string::npos);
  }
}

// A model that takes pictures, too, so that its route looks at no Content-Type.
class FakeImages : public nn::TaskModel {
 public:
  std::string_view task() const override { return "image"; }
  std::vector<nn::TensorDescription> inputs() const override { return {}; }
  std::vector<nn::TensorDescription> outputs() const override { return {}; }
  void try_out() const override {}
};

TEST_F(PrivateModels, OfAnyTaskDoNotExistForOthersWhateverTheTypeOfTheBody) {
  registry->add("ft-pictures", 1, std::make_shared<FakeImages>());
  Database database = state->open();
  jobs.owners().claim(database, "ft-pictures", "a", "ftjob-2");
  for (const std::string_view type : {kJsonType, std::string_view("image/png"), std::string_view("text/plain")}) {
    const HttpResponse none = ask("b-1", "POST", "/v1/models/none-such/predict", "abc", type);
    for (const std::string name : {"ft-mood", "ft-pictures"}) {
      EXPECT_EQ(ask("b-1", "POST", "/v1/models/" + name + "/predict", "abc", type).status, none.status) << name << type;
    }
  }
  EXPECT_EQ(ask("a-1", "POST", "/v1/models/ft-pictures/predict", "abc", "text/plain").status, 415);
  EXPECT_EQ(ask("a-1", "POST", "/v1/models/ft-mood/predict", "abc", "image/png").status, 415);
}

TEST_F(PrivateModels, AreInNoListOfOthers) {
  for (const char* path : {"/v1/models/ft-mood/predict", "/v1/models/mood/predict"}) {
    EXPECT_EQ(ask("a-1", "POST", path, R"({"text":"abc"})").status, 200);
  }
  for (const char* path : {"/v1/models", "/metrics"}) {
    const std::string body = ask("b-1", "GET", path).body;
    EXPECT_EQ(body.find("ft-mood"), std::string::npos) << path;
    EXPECT_NE(body.find("mood"), std::string::npos) << path;
  }
  EXPECT_EQ(ask("b-1", "POST", "/v2/repository/index").body.find("ft-mood"), std::string::npos);
  // The routes without a name belong to the only model that is there for all.
  EXPECT_EQ(ask("a-1", "POST", "/v1/classify", R"({"input":"abc"})").status, 200);
}

}  // namespace
}  // namespace qing::serve
