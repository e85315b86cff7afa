// Names, bodies and places of Kubernetes, and what its objects say of a training. tests/python has a cluster.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <regex>
#include <set>
#include <string>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/common/random_id.h>
#include <qing/serve/jobs/kubernetes_api.h>
#include <qing/serve/jobs/kubernetes_look.h>
#include <qing/serve/jobs/kubernetes_task.h>
#include <qing/tensor/errors.h>

#include "../nn/temp_folder.h"

namespace qing::serve {
namespace {

namespace json = boost::json;
using State = KubernetesLook::State;

json::object parsed(const std::string& text) { return json::parse(text).as_object(); }

TEST(Kubernetes, AnyIdHasAValidName) {
  const std::regex dns("[a-z]([-a-z0-9]*[a-z0-9])?"), label("[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?");
  std::mt19937 random(7);
  std::vector<std::string> texts = {"",  "-",     "ftjob-", ".", "ftjob-ABC", "ftjob-abc", std::string(64, 'a'),
                                    "é", "a b/c", "a-",     "_", "-.-",       "A",         std::string(300, '.')};
  for (int i = 0; i < 300; ++i) {
    std::string text(random() % 80, ' ');
    for (char& c : text) c = static_cast<char>(random() % 256);
    texts.push_back(std::move(text));
    texts.push_back("ftjob-" + random_characters(24));
  }
  std::set<std::string> names, values, distinct(texts.begin(), texts.end());
  for (const std::string& text : distinct) {
    const std::string name = object_name(text), value = label_value(text);
    EXPECT_LE(name.size() + std::string("-worker-1023").size(), 63U) << "a rank has this host name";
    EXPECT_TRUE(std::regex_match(name, dns)) << name;
    EXPECT_LE(value.size(), 63U);
    EXPECT_TRUE(value.empty() || std::regex_match(value, label)) << value;
    names.insert(name);
    values.insert(value);
  }
  EXPECT_EQ(names.size(), distinct.size());
  EXPECT_EQ(values.size(), distinct.size());
  EXPECT_EQ(label_value("ftjob-AbC"), "ftjob-AbC");
}

// Of one pod with this status, beneath an object with these conditions.
KubernetesLook look(const std::string& conditions, const std::string& status) {
  return look_at(parsed(fmt::format(R"({{"metadata":{{}},"status":{{"conditions":[{}]}}}})", conditions)),
                 {parsed(fmt::format(R"({{"metadata":{{}},"status":{}}})", status))});
}

TEST(Kubernetes, PodsSayWhyTheyWaitAndEnd) {
  EXPECT_EQ(look("", R"({"phase":"Pending"})").state, State::waiting);
  EXPECT_EQ(look("", R"({"phase":"Pending"})").reason, "");
  EXPECT_EQ(look("", R"({"phase":"Running"})").state, State::running);
  const KubernetesLook unscheduled = look(
      "",
      R"({"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/3"}]})");
  EXPECT_EQ(unscheduled.reason, "Unschedulable");
  EXPECT_EQ(unscheduled.message, "0/3");
  const auto waits = [](const char* reason) {
    return look("", fmt::format(
                        R"({{"phase":"Pending","containerStatuses":[{{"state":{{"waiting":{{"reason":"{}"}}}}}}]}})",
                        reason))
        .reason;
  };
  EXPECT_EQ(waits("ErrImagePull"), "ImagePullBackOff") << "both come in turns";
  EXPECT_EQ(waits("ContainerCreating"), "");
  EXPECT_EQ(waits("CreateContainerConfigError"), "CreateContainerConfigError");
  EXPECT_EQ(look(R"({"type":"Suspended","status":"True"})", R"({"phase":"Pending"})").reason, "Suspended");
  EXPECT_EQ(look(R"({"type":"Suspended","status":"False"})", R"({"phase":"Running"})").state, State::running);

  const std::string failed = R"({"type":"Failed","status":"True","reason":"BackoffLimitExceeded"})";
  const KubernetesLook killed = look(
      failed,
      R"({"phase":"Failed","containerStatuses":[{"state":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]})");
  EXPECT_EQ(killed.state, State::ended);
  EXPECT_EQ(killed.reason, "OOMKilled");
  EXPECT_EQ(killed.code, 137);
  EXPECT_EQ(look(failed, R"({"phase":"Failed","reason":"Evicted"})").reason, "Evicted");
  const KubernetesLook gone = look_at(parsed(R"({"status":{"conditions":[)" + failed + "]}}"), {});
  EXPECT_EQ(gone.state, State::ended);
  EXPECT_EQ(gone.reason, "BackoffLimitExceeded");
  EXPECT_EQ(look(R"({"type":"Complete","status":"True"})", R"({"phase":"Succeeded"})").code, 0);
  // A condition that announces the end is not the end: its pods may still write.
  EXPECT_EQ(look(R"({"type":"FailureTarget","status":"True"})", R"({"phase":"Running"})").state, State::running);
  // Members of other types do no harm.
  for (const char* odd : {"[]", "{\"phase\":7}", "{\"phase\":\"Failed\",\"containerStatuses\":{}}",
                          "{\"phase\":\"Failed\",\"containerStatuses\":[7,{\"state\":[]}]}"}) {
    EXPECT_NO_THROW(look(failed, odd)) << odd;
  }
  EXPECT_NO_THROW(look_at(parsed(R"({"metadata":[],"status":7})"), {7, json::array()}));
}

TEST(Kubernetes, ARankSaysMoreThanTheLauncher) {
  const auto pod = [](const char* role, int code, const char* reason) {
    return parsed(fmt::format(
        R"({{"metadata":{{"labels":{{"training.kubeflow.org/job-role":"{}"}}}},"status":{{"phase":"Failed",
        "containerStatuses":[{{"state":{{"terminated":{{"exitCode":{},"reason":"{}"}}}}}}]}}}})",
        role, code, reason));
  };
  const json::object object = parsed(R"({"status":{"conditions":[{"type":"Failed","status":"True"}]}})");
  for (const json::array& pods : {json::array{pod("launcher", 1, "Error"), pod("worker", 137, "OOMKilled")},
                                  json::array{pod("worker", 137, "OOMKilled"), pod("launcher", 1, "Error")}}) {
    const KubernetesLook seen = look_at(object, pods);
    EXPECT_EQ(seen.reason, "OOMKilled");
    EXPECT_EQ(seen.code, 1) << "the training's code is that of the launcher";
  }
}

class KubernetesPlaces : public ::testing::Test {
 protected:
  KubernetesPlaces() {
    ::setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    ::setenv("KUBERNETES_SERVICE_PORT", "6443", 1);
    // Any certificate will do, such as one of the system's.
    std::filesystem::copy_file("/etc/ssl/certs/ca-certificates.crt", folder.path() / "ca.crt");
    folder.write("token", "abc\n");
    folder.write("namespace", "team-a");
  }
  ~KubernetesPlaces() override {
    ::unsetenv("KUBERNETES_SERVICE_HOST");
    ::unsetenv("KUBERNETES_SERVICE_PORT");
  }
  KubernetesPlace place(const KubernetesOptions& options = {}) const {
    return kubernetes_place(options, folder.path());
  }

  test::TempFolder folder;
};

TEST_F(KubernetesPlaces, AreThoseOfTheServersPod) {
  const KubernetesPlace own = place();
  EXPECT_EQ(own.server.host, "fd00::1");
  EXPECT_EQ(own.server.port, 6443);
  EXPECT_TRUE(own.server.tls);
  EXPECT_EQ(own.name_space, "team-a");
  EXPECT_EQ(own.token, folder.path() / "token");
  const KubernetesPlace other = place({.server = "https://api.example", .name_space = "b"});
  EXPECT_EQ(other.server.host, "api.example");
  EXPECT_EQ(other.name_space, "b");
}

TEST_F(KubernetesPlaces, AreRefusedWithTheirRemedy) {
  for (const char* url : {"http://api.example", "api.example", "https://api.example/path", "https://a@b"}) {
    EXPECT_THROW(place({.server = url}), ValueError) << url;
  }
  EXPECT_THROW(place({.token = folder.path() / "none"}), IoError);
  EXPECT_THROW(place({.token = folder.write("two", "a b\n")}), DataError);
  EXPECT_THROW(place({.authority = folder.path() / "token"}), IoError);
  ::unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_THROW(place(), ValueError) << "this is no pod";
}

TEST(Kubernetes, ABodyHasWhatTheTrainingMayUse) {
  const KubernetesTask task{
      .job = "ftjob-A", .model = std::string(100, 'm'), .project = "a", .minutes = 2, .limits = {3, 512}};
  const KubernetesObject object{KubernetesKind::job, "n", object_name(task.job)};
  const json::value body = kubernetes_body(
      task, object, "t", {.image = "i", .claim = "c", .claim_path = "state"},
      parsed(
          R"({"metadata":{"labels":{"qing/attempt":"x"}},"spec":{"enableServiceLinks":null,"nodeSelector":{"a":"b"}}})"));
  const json::value& pod = body.at("spec").at("template");
  EXPECT_EQ(pod.at("metadata").at("labels").at("qing/attempt"), "t") << "the server finds its pods by it";
  EXPECT_EQ(pod.at("spec").at("nodeSelector").at("a"), "b");
  EXPECT_FALSE(pod.at("spec").as_object().contains("enableServiceLinks"));
  EXPECT_EQ(pod.at("spec").at("activeDeadlineSeconds"), 120);
  const json::value& container = pod.at("spec").at("containers").at(0);
  EXPECT_EQ(container.at("volumeMounts").at(0).at("subPath"), "state/jobs/ftjob-A");
  EXPECT_EQ(container.at("resources").at("limits").at("cpu"), "3");
  EXPECT_TRUE(container.at("securityContext").at("readOnlyRootFilesystem").as_bool());
}

}  // namespace
}  // namespace qing::serve
