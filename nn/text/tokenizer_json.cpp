#include <qing/nn/text/tokenizer_json.h>

#include <string>

#include <qing/nn/text/tokenizer_options.h>

namespace qing::nn::text {
namespace {

namespace json = boost::json;

json::object template_part(std::string_view kind, std::string_view id, int type) {
  return {{std::string(kind), {{"id", id}, {"type_id", type}}}};
}

}  // namespace

json::object truncation_json(int32_t max_length) {
  return {{"direction", "Right"}, {"max_length", max_length}, {"strategy", "LongestFirst"}, {"stride", 0}};
}

json::array special_tokens_json(const KnownToken& id) {
  json::array tokens;
  for (const std::string_view token : kSpecialTokens) {
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
  const auto known = [&](std::string_view token) {
    return json::object{{"id", token}, {"ids", {id(token)}}, {"tokens", {token}}};
  };
  const json::array single{template_part("SpecialToken", "[CLS]", 0), template_part("Sequence", "A", 0),
                           template_part("SpecialToken", "[SEP]", 0)};
  json::array pair = single;
  pair.push_back(template_part("Sequence", "B", 1));
  pair.push_back(template_part("SpecialToken", "[SEP]", 1));
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", {{"[CLS]", known("[CLS]")}, {"[SEP]", known("[SEP]")}}}};
}

json::object special_token_names() {
  return {{"pad_token", "[PAD]"},
          {"unk_token", "[UNK]"},
          {"cls_token", "[CLS]"},
          {"sep_token", "[SEP]"},
          {"mask_token", "[MASK]"}};
}

}  // namespace qing::nn::text
