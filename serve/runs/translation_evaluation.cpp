#include <qing/serve/runs/translation_evaluation.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <utility>

#include <qing/nn/translation_metrics.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/runs/table_writer.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

constexpr int64_t kMostRows = 256;  // hypotheses that are computed together
constexpr size_t kPairsAtATime = 256;

std::string place_of(const EvaluatedPair& pair, std::span<const std::string> names) {
  return fmt::format("{}:{}", names[pair.file], pair.texts.line);
}

void score_pair(EvaluatedPair& pair, nn::BleuTokenizer tokenizer) {
  const std::span reference(&pair.texts.target, 1);
  const nn::BleuOptions sentence{.effective_order = true};
  pair.bleu = nn::bleu(nn::bleu_counts(pair.translation.text, reference, tokenizer), sentence).score;
  pair.chrf = nn::chrf(nn::chrf_counts(pair.translation.text, reference));
}

optim::TranslationScores scores_of(std::span<const EvaluatedPair> pairs, const std::string& language) {
  std::vector<std::string> translations, references;
  for (const EvaluatedPair& pair : pairs) {
    translations.push_back(pair.translation.text);
    references.push_back(pair.texts.target);
  }
  return optim::score_translations(translations, references, language);
}

std::string scores_line(const std::string& name, const optim::TranslationScores& scores) {
  return fmt::format("{}\t{}\tBLEU {:.1f} ({:.1f} to {:.1f})\tchrF {:.1f} ({:.1f} to {:.1f})", name,
                     how_many(scores.sentences, "sentence"), scores.bleu.score, scores.bleu_interval.low,
                     scores.bleu_interval.high, scores.chrf, scores.chrf_interval.low, scores.chrf_interval.high);
}

void write_scores(JsonWriter& json, const optim::TranslationScores& scores) {
  json.member("sentences", scores.sentences).member("bleu", scores.bleu.score);
  json.member("bleu_interval", std::array{scores.bleu_interval.low, scores.bleu_interval.high});
  json.member("chrf", scores.chrf);
  json.member("chrf_interval", std::array{scores.chrf_interval.low, scores.chrf_interval.high});
}

}  // namespace

TranslationEvaluation evaluate_translations(const nn::Translator& model,
                                            std::span<const std::vector<nn::TextPair>> files,
                                            std::span<const std::string> names,
                                            const nn::TranslationDirection& direction, std::string language,
                                            const nn::DecodingOptions& options) {
  TranslationEvaluation evaluation{.language = std::move(language), .all = {}, .per_file = {}, .pairs = {}};
  std::vector<EvaluatedPair>& pairs = evaluation.pairs;
  for (size_t file = 0; file < files.size(); ++file) {
    for (const nn::TextPair& texts : files[file]) {
      pairs.push_back({.file = file, .texts = texts, .translation = {}, .bleu = 0, .chrf = 0});
    }
  }
  if (pairs.empty()) throw ValueError("evaluate_translations: there are no pairs");
  std::vector<std::string> sources;
  for (size_t begin = 0; begin < pairs.size(); begin += kPairsAtATime) {
    const size_t end = std::min(begin + kPairsAtATime, pairs.size());
    sources.clear();
    for (size_t i = begin; i < end; ++i) sources.push_back(pairs[i].texts.source);
    std::vector<nn::Translation> translations = model.translate(
        sources, direction, options, kMostRows, [&](size_t i) { return place_of(pairs[begin + i], names); });
    for (size_t i = begin; i < end; ++i) pairs[i].translation = std::move(translations[i - begin]);
  }
  const nn::BleuTokenizer tokenizer = optim::bleu_tokenizer_of(evaluation.language);
  for (EvaluatedPair& pair : pairs) score_pair(pair, tokenizer);
  evaluation.all = scores_of(pairs, evaluation.language);
  size_t begin = 0;
  for (const std::vector<nn::TextPair>& file : files) {
    evaluation.per_file.push_back(scores_of(std::span(pairs).subspan(begin, file.size()), evaluation.language));
    begin += file.size();
  }
  return evaluation;
}

std::vector<size_t> worst_translations(const TranslationEvaluation& evaluation, size_t most) {
  std::vector<size_t> order(evaluation.pairs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::less<>(), [&](size_t i) { return evaluation.pairs[i].chrf; });
  order.resize(std::min(most, order.size()));
  return order;
}

std::string to_text(const TranslationEvaluation& evaluation, std::span<const std::string> names) {
  std::string text;
  if (names.size() > 1) {
    for (size_t i = 0; i < names.size(); ++i) text += scores_line(names[i], evaluation.per_file[i]) + "\n";
  }
  text += scores_line(names.size() > 1 ? "all files" : names.front(), evaluation.all);
  return text + fmt::format("\nBLEU {}\nchrF {}", evaluation.all.bleu_signature, evaluation.all.chrf_signature);
}

std::string worst_text(const TranslationEvaluation& evaluation, std::span<const size_t> worst,
                       std::span<const std::string> names) {
  std::string text = "\ntranslations of the lowest chrF:";
  for (const size_t i : worst) {
    const EvaluatedPair& pair = evaluation.pairs[i];
    text += fmt::format("\n{}\tchrF {:.1f}\n\tsource\t{}\n\ttarget\t{}\n\tmodel\t{}", place_of(pair, names), pair.chrf,
                        pair.texts.source, pair.texts.target, pair.translation.text);
  }
  return text;
}

std::string to_json(const TranslationEvaluation& evaluation, std::span<const size_t> worst,
                    std::span<const std::string> names) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object();
  write_scores(json, evaluation.all);
  json.member("bleu_signature", evaluation.all.bleu_signature);
  json.member("chrf_signature", evaluation.all.chrf_signature);
  json.key("files").begin_array();
  for (size_t i = 0; i < names.size(); ++i) {
    json.begin_object().member("file", names[i]);
    write_scores(json, evaluation.per_file[i]);
    json.end();
  }
  json.end().key("worst").begin_array();
  for (const size_t i : worst) {
    const EvaluatedPair& pair = evaluation.pairs[i];
    json.begin_object().member("file", names[pair.file]).member("line", pair.texts.line);
    json.member("source", pair.texts.source).member("target", pair.texts.target);
    json.member("translation", pair.translation.text).member("chrf", pair.chrf).end();
  }
  json.end().end();
  return json.take();
}

void write_results(const std::filesystem::path& out, const TranslationEvaluation& evaluation,
                   std::span<const std::string> names) {
  TableWriter writer(
      out, {.columns = {"file", "line", "source", "target"}, .added = {"translation", "score", "bleu", "chrf"}}, {});
  for (const EvaluatedPair& pair : evaluation.pairs) {
    const std::vector<std::string> fields = {names[pair.file], std::to_string(pair.texts.line), pair.texts.source,
                                             pair.texts.target};
    const std::vector<AddedValue> added = {{pair.translation.text, false},
                                           {fmt::format("{}", pair.translation.score), true},
                                           {fmt::format("{}", pair.bleu), true},
                                           {fmt::format("{}", pair.chrf), true}};
    writer.add(fields, {}, added, place_of(pair, names));
  }
  writer.finish();
}

}  // namespace qing::serve::cli
