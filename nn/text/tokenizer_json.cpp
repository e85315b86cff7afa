#include <qing/nn/text/tokenizer_json.h>

#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/text/tokenizer_options.h>

namespace qing::nn::text {
namespace {

namespace json = boost::json;

json::object template_part(std::string_view kind, std::string_view id, int type) {
  return {{std::string(kind), {{"id", id}, {"type_id", type}}}};
}

// A template with `first`, if given, in front of a text and [SEP] behind each.
json::object template_json(const KnownToken& id, std::initializer_list<std::string_view> special,
                           std::optional<json::object> first = {}) {
  json::array single;
  if (first) single.push_back(*std::move(first));
  single.push_back(template_part("Sequence", "A", 0));
  single.push_back(template_part("SpecialToken", "[SEP]", 0));
  json::array pair = single;
  pair.push_back(template_part("Sequence", "B", 1));
  pair.push_back(template_part("SpecialToken", "[SEP]", 1));
  json::object tokens;
  for (const std::string_view token : special) {
    tokens[token] = json::object{{"id", token}, {"ids", {id(token)}}, {"tokens", {token}}};
  }
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
}

}  // namespace

json::object truncation_json(int32_t max_length) {
  return {{"direction", "Right"}, {"max_length", max_length}, {"strategy", "LongestFirst"}, {"stride", 0}};
}

json::array special_tokens_json(const KnownToken& id, std::span<const std::string> more) {
  std::vector<std::string_view> names(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  names.insert(names.end(), more.begin(), more.end());
  json::array tokens;
  for (const std::string_view token : names) {
    tokens.push_back(json::object{{"id", id(token)},
                                  {"content", token},
                                  {"single_word", false},
                                  {"lstrip", false},
                                  {"rstrip", false},
                                  {"normalized", false},
                                  {"special", true}});
  }
  return tokens;
}

json::object bert_template_json(const KnownToken& id) {
  return template_json(id, {"[CLS]", "[SEP]"}, template_part("SpecialToken", "[CLS]", 0));
}

json::object ending_template_json(const KnownToken& id) { return template_json(id, {"[SEP]"}); }

json::object special_token_names() {
  return {{"pad_token", "[PAD]"},
          {"unk_token", "[UNK]"},
          {"cls_token", "[CLS]"},
          {"sep_token", "[SEP]"},
          {"mask_token", "[MASK]"}};
}

}  // namespace qing::nn::text
