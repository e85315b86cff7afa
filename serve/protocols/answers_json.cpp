#include "answers_json.h"

#include <algorithm>
#include <numeric>

#include <qing/serve/protocols/explanation_json.h>

namespace qing::serve::protocols {

void write_prediction(JsonWriter& json, const Answer& answer, size_t i) {
  const nn::Prediction& prediction = answer.predictions[i];
  const std::vector<std::string>& labels = answer.labels();
  const auto label = static_cast<size_t>(prediction.label);
  json.begin_object().member("label", labels[label]).member("score", prediction.scores[label]);
  json.key("scores").begin_object();
  for (size_t j = 0; j < labels.size(); ++j) json.member(labels[j], prediction.scores[j]);
  json.end();
  const nn::Problem problem = answer.model.classifier->problem();
  if (problem == nn::Problem::multi_label) json.key("labels").raw(labels_json(labels, prediction.labels));
  if (problem == nn::Problem::ordinal || problem == nn::Problem::regression) {
    json.member("value", static_cast<float>(prediction.value));
  }
  json.member("truncated", prediction.truncated);
  if (prediction.blank) json.member("blank", true);
  if (!answer.explanations.empty()) {
    json.key("explanation").raw(explanation_json(answer.explanations[i], answer.texts[i], labels));
  }
  json.end();
}

std::string labels_json(const std::vector<std::string>& labels, std::span<const std::int32_t> chosen) {
  JsonWriter json;
  json.begin_array();
  for (const std::int32_t label : chosen) json.value(labels.at(static_cast<size_t>(label)));
  json.end();
  return json.take();
}

void write_trial(JsonWriter& json, const Model& model) {
  if (!model.candidate) return;
  json.key("trial").begin_object().member("version", std::to_string(model.trial.version));
  json.member("share", model.trial.share).member("kind", model.trial.shadow ? "shadow" : "canary");
  if (model.trial.by_request) json.member("by", "request");
  json.end();
}

void write_ranking(JsonWriter& json, const std::vector<float>& scores, const std::vector<std::string>& labels,
                   size_t most) {
  std::vector<size_t> order(labels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return scores[i]; });
  order.resize(std::min(most, order.size()));
  json.begin_array();
  for (const size_t i : order) { json.begin_object().member("label", labels[i]).member("score", scores[i]).end(); }
  json.end();
}

std::string shown_reason(const std::string& reason, bool may_administer) {
  if (may_administer || reason.empty() || reason == Registry::kUnloaded) return reason;
  return "could not be loaded; a key with the scope admin is told why";
}

std::vector<std::string> version_texts(const std::vector<std::int64_t>& versions) {
  std::vector<std::string> texts;
  texts.reserve(versions.size());
  for (const std::int64_t version : versions) texts.push_back(std::to_string(version));
  return texts;
}

}  // namespace qing::serve::protocols
