// What a translator makes of pairs of texts: BLEU and chrF, and the translation of each source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/parallel_texts.h>
#include <qing/nn/models/translator.h>
#include <qing/optim/translation/translation_scores.h>

namespace qing::serve::cli {

struct EvaluatedPair {
  size_t file = 0;  ///< the number of the file that it is of
  nn::TextPair texts;
  nn::Translation translation;
  double bleu = 0, chrf = 0;  ///< of this sentence; BLEU without the orders that it is too short for
};

struct TranslationEvaluation {
  std::string language;          ///< of the targets, which chooses BLEU's words; empty: not known
  optim::TranslationScores all;  ///< with intervals
  std::vector<optim::TranslationScores> per_file;
  std::vector<EvaluatedPair> pairs;  ///< in the order of the files and their rows
};

/// Translates the sources of the pairs. `names` are those of the files, for errors. DataError "FILE:LINE: ..." for a
/// source that cannot be translated; ValueError without pairs.
TranslationEvaluation evaluate_translations(const nn::Translator& model,
                                            std::span<const std::vector<nn::TextPair>> files,
                                            std::span<const std::string> names,
                                            const nn::TranslationDirection& direction, std::string language,
                                            const nn::DecodingOptions& options);

/// The numbers of at most `most` pairs, those of the lowest chrF first.
std::vector<size_t> worst_translations(const TranslationEvaluation& evaluation, size_t most);

/// For people.
std::string to_text(const TranslationEvaluation& evaluation, std::span<const std::string> names);
std::string worst_text(const TranslationEvaluation& evaluation, std::span<const size_t> worst,
                       std::span<const std::string> names);
/// {"sentences", "bleu", "bleu_interval", "bleu_signature", "chrf", "chrf_interval", "chrf_signature", "files",
/// "worst"}.
std::string to_json(const TranslationEvaluation& evaluation, std::span<const size_t> worst,
                    std::span<const std::string> names);

/// Writes all pairs as a table with a TableWriter: file, line, source, target, translation, score, bleu, chrf. IoError,
/// DataError.
void write_results(const std::filesystem::path& out, const TranslationEvaluation& evaluation,
                   std::span<const std::string> names);

}  // namespace qing::serve::cli
