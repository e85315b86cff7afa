// Scores of translations for a comparison with sacrebleu: reads one JSON object, {"translations": [...], "references":
// [[of the first translation, ...], ...]}, and writes the scores of the corpus and of each sentence.
#include <boost/json.hpp>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include <qing/nn/translation_metrics.h>

namespace json = boost::json;
using namespace qing::nn;

namespace {

struct Input {
  std::vector<std::string> translations;
  std::vector<std::vector<std::string>> references;
};

Input read(const json::object& object) {
  Input input;
  for (const json::value& text : object.at("translations").as_array())
    input.translations.emplace_back(text.as_string());
  for (const json::value& list : object.at("references").as_array()) {
    auto& texts = input.references.emplace_back();
    for (const json::value& text : list.as_array()) texts.emplace_back(text.as_string());
  }
  return input;
}

json::object bleu_scores(const Input& input, BleuTokenizer tokenizer) {
  BleuCounts sum;
  json::array sentences;
  for (size_t i = 0; i < input.translations.size(); ++i) {
    const BleuCounts counts = bleu_counts(input.translations[i], input.references[i], tokenizer);
    sum += counts;
    sentences.emplace_back(bleu(counts, {.effective_order = true}).score);
  }
  const BleuScore score = bleu(sum);
  return {{"score", score.score},
          {"precisions", json::array(score.precisions.begin(), score.precisions.end())},
          {"bp", score.brevity_penalty},
          {"sys_len", sum.words},
          {"ref_len", sum.reference_words},
          {"sentences", sentences},
          {"signature", bleu_signature(tokenizer, input.references.front().size())}};
}

json::object chrf_scores(const Input& input, ChrfOptions options) {
  ChrfCounts sum;
  json::array sentences;
  for (size_t i = 0; i < input.translations.size(); ++i) {
    const ChrfCounts counts = chrf_counts(input.translations[i], input.references[i], options);
    sum += counts;
    sentences.emplace_back(chrf(counts, options));
  }
  return {{"score", chrf(sum, options)},
          {"sentences", sentences},
          {"signature", chrf_signature(options, input.references.front().size())}};
}

}  // namespace

int main() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const Input input = read(json::parse(text).as_object());
  std::cout << json::serialize(json::object{{"13a", bleu_scores(input, BleuTokenizer::v13a)},
                                            {"zh", bleu_scores(input, BleuTokenizer::zh)},
                                            {"char", bleu_scores(input, BleuTokenizer::character)},
                                            {"none", bleu_scores(input, BleuTokenizer::none)},
                                            {"chrF2", chrf_scores(input, {})},
                                            {"chrF2++", chrf_scores(input, {.word_order = 2})}})
            << '\n';
}
