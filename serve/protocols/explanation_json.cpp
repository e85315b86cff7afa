#include "explanation_json.h"

#include <fmt/format.h>

#include <qing/nn/utf8.h>
#include <qing/serve/common/json_text.h>
#include <qing/serve/http/message.h>

namespace qing::serve {
std::string explanation_json(const nn::Explanation& explanation, std::string_view text,
                             const std::vector<std::string>& labels) {
  std::string spans;
  std::size_t bytes = 0, position = 0;  // the same place in the text, counted both ways
  for (const auto& [begin, end, weight] : explanation.spans) {
    const std::size_t from = position + nn::count_characters(text.substr(bytes, begin - bytes));
    position = from + nn::count_characters(text.substr(begin, end - begin));
    bytes = end;
    spans += fmt::format(R"({}{{"begin":{},"end":{},"text":{},"weight":{}}})", spans.empty() ? "" : ",", from, position,
                         json_quoted(text.substr(begin, end - begin)), weight);
  }
  return fmt::format(R"({{"label":{},"score":{},"baseline":{},"gap":{},"encoder_end":{},"ngram_end":{},"spans":[{}]}})",
                     json_quoted(labels.at(static_cast<std::size_t>(explanation.label))), explanation.score,
                     explanation.baseline, explanation.gap,
                     nn::count_characters(text.substr(0, explanation.encoder_end)),
                     nn::count_characters(text.substr(0, explanation.ngram_end)), spans);
}

}  // namespace qing::serve
