// `qing eval` of a translator.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <qing/serve/cli/table_options.h>
#include <qing/tensor/dtype.h>

namespace qing::serve::cli {

struct EvalTranslator {
  std::filesystem::path model;  ///< its folder
  std::vector<std::filesystem::path> data;
  std::string source_column, target_column;  ///< empty: guessed
  std::string from, to;                      ///< empty: what the columns name, or the model's only direction
  std::optional<int64_t> beam;               ///< the model's own without
  std::filesystem::path out;                 ///< table of the pairs with their translations; empty: none
  int64_t worst = 10;                        ///< pairs of the lowest chrF to list
  DType precision = DType::f32;
  TableArguments table;
  bool json = false;
};

/// Prints BLEU and chrF as sacrebleu has them, with 95% intervals, and the worst translations. UsageError, DataError,
/// IoError; ValueError for a direction that the model does not have.
void eval_translator(const EvalTranslator& arguments);

}  // namespace qing::serve::cli
