// Drift: recent predictions of the models compared with their reference texts.
#include "serve/serve_fixture.h"

#include <qing/serve/monitoring/drift_monitor.h>

namespace qing::serve {
namespace {

class WithReference : public FakeClassifier {
 public:
  const nn::DataProfile* reference() const override { return &reference_; }

 private:
  nn::DataProfile reference_{.tokens = 1000, .unknown_tokens = 10, .labels = {40, 20, 40}};
};

nn::Prediction prediction(std::int32_t label, std::int32_t unknown = 0) {
  return {.label = label, .scores = {}, .tokens = 10, .truncated = false, .unknown = unknown};
}

std::vector<DriftMonitor::Reading> readings(const DriftMonitor& monitor) {
  std::vector<DriftMonitor::Reading> all;
  monitor.for_each([&](const DriftMonitor::Reading& reading) { all.push_back(reading); });
  return all;
}

TEST(DriftMonitor, RemembersTheLastTexts) {
  DriftMonitor monitor;
  const Model model{.name = "mood", .version = 3, .versions = {3}, .classifier = std::make_shared<FakeClassifier>()};
  EXPECT_TRUE(readings(monitor).empty());
  const std::vector<nn::Prediction> old(500, prediction(0)), fresh(500, prediction(2, 5));
  for (int i = 0; i < 5; ++i) monitor.add(model, old);
  ASSERT_EQ(readings(monitor).size(), 1U);
  EXPECT_EQ(readings(monitor)[0].recent.labels, (std::vector<std::int64_t>{2500, 0, 0}));
  for (int i = 0; i < 4; ++i) monitor.add(model, fresh);
  EXPECT_EQ(readings(monitor)[0].recent.labels, (std::vector<std::int64_t>{2500, 0, 2000}));
  monitor.add(model, fresh);
  EXPECT_EQ(readings(monitor)[0].recent.labels, (std::vector<std::int64_t>{0, 0, 2500}));
  EXPECT_EQ(readings(monitor)[0].recent.unknown_share(), 0.5);
  EXPECT_EQ(readings(monitor)[0].model, "mood");
  EXPECT_EQ(readings(monitor)[0].version, 3);
}

TEST(DriftMonitor, SeparatesVersionsAndForgetsUnloadedOnes) {
  DriftMonitor monitor;
  Model model{.name = "mood", .version = 1, .versions = {1, 2}, .classifier = std::make_shared<FakeClassifier>()};
  monitor.add(model, std::vector{prediction(0)});
  Model other = model;
  other.version = 2;
  other.classifier = std::make_shared<FakeClassifier>();
  monitor.add(other, std::vector{prediction(1), prediction(1)});
  ASSERT_EQ(readings(monitor).size(), 2U);
  model.classifier.reset();
  ASSERT_EQ(readings(monitor).size(), 1U);
  EXPECT_EQ(readings(monitor)[0].version, 2);
  EXPECT_EQ(readings(monitor)[0].recent.labels, (std::vector<std::int64_t>{0, 2, 0}));
}

class Drift : public ServeTest {};

TEST_F(Drift, IsInTheMetricsOfAModelWithAReference) {
  registry->add("drifting", 7, std::make_shared<WithReference>());
  start();
  std::string bodies;
  for (int i = 0; i < 50; ++i) bodies += std::string(i > 0 ? "," : "") + "\"ab\"";  // label 2
  const std::string body = "{\"texts\":[" + bodies + "]}";
  EXPECT_EQ(ask(post(body, "", "/v1/models/drifting/predict")).status, 200);
  EXPECT_EQ(ask(post(body)).status, 200);
  const std::string metrics = ask(get("/metrics")).body;
  const auto value = [&](const std::string& name) {
    const auto at = metrics.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(metrics.substr(at + name.size() + 2));
  };
  EXPECT_EQ(value("qing_model_recent_texts{model=\"drifting\",version=\"7\"}"), 50);
  EXPECT_EQ(value("qing_model_label_share{model=\"drifting\",version=\"7\",label=\"positive\"}"), 1);
  EXPECT_EQ(value("qing_model_reference_label_share{model=\"drifting\",version=\"7\",label=\"neutral\"}"), 0.2);
  EXPECT_EQ(value("qing_model_reference_unknown_token_share{model=\"drifting\",version=\"7\"}"), 0.01);
  EXPECT_GT(value("qing_model_label_drift{model=\"drifting\",version=\"7\"}"), 1);
  // Without a reference there is no drift metric.
  EXPECT_EQ(value("qing_model_label_share{model=\"mood\",version=\"2\",label=\"positive\"}"), 1);
  EXPECT_EQ(value("qing_model_label_drift{model=\"mood\",version=\"2\"}"), -1);
}

}  // namespace
}  // namespace qing::serve
