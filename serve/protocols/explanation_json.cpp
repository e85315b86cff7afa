#include "explanation_json.h"

#include <qing/nn/utf8.h>
#include <qing/serve/common/json_writer.h>

namespace qing::serve {
std::string explanation_json(const nn::Explanation& explanation, std::string_view text,
                             const std::vector<std::string>& labels) {
  JsonWriter json;
  json.begin_object().member("label", labels.at(static_cast<size_t>(explanation.label)));
  json.member("score", explanation.score).member("baseline", explanation.baseline).member("gap", explanation.gap);
  json.member("encoder_end", nn::count_characters(text.substr(0, explanation.encoder_end)));
  json.member("ngram_end", nn::count_characters(text.substr(0, explanation.ngram_end)));
  json.key("spans").begin_array();
  size_t bytes = 0, position = 0;  // the same position in the text, in bytes and in characters
  for (const auto& [begin, end, weight] : explanation.spans) {
    const size_t from = position + nn::count_characters(text.substr(bytes, begin - bytes));
    position = from + nn::count_characters(text.substr(begin, end - begin));
    bytes = end;
    json.begin_object().member("begin", from).member("end", position);
    json.member("text", text.substr(begin, end - begin)).member("weight", weight).end();
  }
  json.end().end();
  return json.take();
}

}  // namespace qing::serve
