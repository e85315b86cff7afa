#include "answers_json.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include <qing/serve/common/json_text.h>
#include <qing/serve/protocols/explanation_json.h>

namespace qing::serve::protocols {
std::string json_list(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ",") + json_quoted(text);
  return "[" + list + "]";
}

std::string prediction_json(const Answer& answer, std::size_t i) {
  const nn::Prediction& prediction = answer.predictions[i];
  const std::vector<std::string>& labels = answer.labels();
  std::string scores;
  for (std::size_t j = 0; j < labels.size(); ++j) {
    // fmt writes a float's shortest exact form, which is also JSON.
    scores += fmt::format("{}{}:{}", j == 0 ? "" : ",", json_quoted(labels[j]), prediction.scores[j]);
  }
  const auto label = static_cast<std::size_t>(prediction.label);
  std::string json = fmt::format(R"({{"label":{},"score":{},"scores":{{{}}},"truncated":{})",
                                 json_quoted(labels[label]), prediction.scores[label], scores, prediction.truncated);
  if (prediction.blank) json += R"(,"blank":true)";
  if (!answer.explanations.empty()) {
    json += R"(,"explanation":)" + explanation_json(answer.explanations[i], answer.texts[i], labels);
  }
  return json + "}";
}

std::string trial_member(const Model& model) {
  if (!model.candidate) return "";
  return fmt::format(R"(,"trial":{{"version":"{}","share":{},"kind":"{}"}})", model.trial.version, model.trial.share,
                     model.trial.shadow ? "shadow" : "canary");
}

std::string ranked_json(const std::vector<float>& scores, const std::vector<std::string>& labels, std::size_t most) {
  std::vector<std::size_t> order(labels.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t i) { return scores[i]; });
  std::string list;
  for (std::size_t i = 0; i < std::min(most, order.size()); ++i) {
    list += fmt::format(R"({}{{"label":{},"score":{}}})", i == 0 ? "" : ",", json_quoted(labels[order[i]]),
                        scores[order[i]]);
  }
  return "[" + list + "]";
}

}  // namespace qing::serve::protocols
