// The options of `qing train --task translation` beside the table's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace qing::serve::translation {

/// The options of the task beside the table's.
struct TranslationArguments {
  std::string source_column = {}, target_column = {};
  std::vector<std::filesystem::path> data_target = {}, dev_target = {};
  std::string directions = {};
  std::int64_t eval_sentences = 500;       ///< of each dev set and direction that are translated; 0: all
  std::int64_t eval_beam = 1;              ///< hypotheses of the beam search that translates them
  std::vector<std::string> licences = {};  ///< of the data, for the card
};

}  // namespace qing::serve::translation
