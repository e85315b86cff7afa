#include "explanation_json.h"

#include <algorithm>

#include <fmt/format.h>

#include <qing/serve/http/message.h>

namespace qing::serve {
namespace {

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::ranges::count_if(utf8, [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string explanation_json(const nn::Explanation& explanation, std::string_view text,
                             const std::vector<std::string>& labels) {
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
                     json_quoted(labels.at(static_cast<std::size_t>(explanation.label))), explanation.score,
                     explanation.baseline, explanation.gap, spans);
}

}  // namespace qing::serve
