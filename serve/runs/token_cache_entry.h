// Makes an entry of the token cache.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/serve/runs/settings.h>

namespace qing::serve::cli {

/// Bytes of text from which a new vocabulary is trained, of data files that have more.
inline constexpr double kVocabularyBytes = 32 << 20;
/// About the most bytes of text that are held out unasked.
inline constexpr double kHeldBytes = 8 << 20;

struct TokenCacheRequest {
  std::filesystem::path folder;              ///< of the cache; it is made if it is not there
  std::vector<std::filesystem::path> files;  ///< the data
  nn::DatasetOptions reading;                ///< `labels` are those that are given, or none
  optim::TrainOptions options;               ///< of the tokenizer
  Settings settings;                         ///< those that say how the files are read
  double dev_share = 0;                      ///< of the texts is held out
  /// Chooses the labels where none are given. Called only when an entry is made.
  std::function<std::vector<std::string>()> choose_labels;
  std::function<void(const std::string& line)> tell;  ///< for people
};

/// Writes an entry into a folder that is there and empty. Memory: the texts that are held out, a sample for the
/// vocabulary, and some thousand texts. IoError; LineError; DataError for a file that changes meanwhile, and for data
/// without a text to train on.
void make_cache_entry(const std::filesystem::path& folder, const TokenCacheRequest& request);

}  // namespace qing::serve::cli
