#include "answers_json.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace qing::serve::protocols {
namespace {

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::ranges::count_if(utf8, [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string json_list(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ",") + json_quoted(text);
  return "[" + list + "]";
}

std::string explanation_json(const Answer& answer, std::size_t i) {
  const nn::Explanation& explanation = answer.explanations[i];
  const std::string_view text = answer.texts[i];
  std::string spans;
  std::size_t bytes = 0, position = 0;  // the same place in the text, counted both ways
  for (const auto& [begin, end, weight] : explanation.spans) {
    const std::size_t from = position + characters(text.substr(bytes, begin - bytes));
    position = from + characters(text.substr(begin, end - begin));
    bytes = end;
    spans += fmt::format(R"({}{{"begin":{},"end":{},"text":{},"weight":{}}})", spans.empty() ? "" : ",", from, position,
                         json_quoted(text.substr(begin, end - begin)), weight);
  }
  return fmt::format(R"({{"label":{},"score":{},"baseline":{},"gap":{},"spans":[{}]}})",
                     json_quoted(answer.labels()[static_cast<std::size_t>(explanation.label)]), explanation.score,
                     explanation.baseline, explanation.gap, spans);
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
  std::string json = fmt::format(R"({{"label":{},"score":{},"scores":{{{}}},"truncated":{})", json_quoted(labels[label]),
                                 prediction.scores[label], scores, prediction.truncated);
  if (!answer.explanations.empty()) json += R"(,"explanation":)" + explanation_json(answer, i);
  return json + "}";
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
