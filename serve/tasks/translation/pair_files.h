// The files of a translation training or evaluation: pairs of texts with their languages, in the wanted directions.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/data/parallel_texts.h>
#include <qing/nn/models/translation_folder.h>
#include <qing/optim/translation/translation_data.h>
#include <qing/serve/runs/data_files.h>

namespace qing::serve::translation {

/// How the files are read.
struct PairReading {
  std::string source_column = {}, target_column = {};     ///< empty: guessed
  std::vector<nn::TranslationDirection> directions = {};  ///< empty: from the source's language to the target's
  bool speaks = true;                                     ///< says on stderr what was guessed and left out
};

/// A pair in one direction, and what decides whether it is held out.
struct DirectedPair {
  optim::TranslationPair pair;
  std::string document;  ///< of its file; without one both texts, the source's first
};

struct PairFile {
  std::vector<cli::DataFile> files;  ///< one, or the source's and the target's
  std::string name;                  ///< in reports
  std::vector<DirectedPair> pairs;   ///< of all directions: each pair of texts in each of them
};

/// "en-zh,zh-en". UsageError for a text that is no list of directions, and for one that stands twice.
std::vector<nn::TranslationDirection> directions_of(const std::string& text);

/// Reads each file, a table, or with `targets` the lines of files[i] and their translations in targets[i]. The
/// languages are the names of the columns or the suffixes of the files, if these name languages ("zh-Hans" is the
/// language zh_Hans), else those of the only direction. UsageError when a file stands twice, for another number of
/// targets than files, and for directions that a file does not have; IoError; DataError naming the file and the line.
std::vector<PairFile> read_pairs(const std::vector<std::filesystem::path>& files,
                                 const std::vector<std::filesystem::path>& targets,
                                 const std::vector<std::filesystem::path>& among, const PairReading& reading);

/// The pairs of all files without their documents.
std::vector<optim::TranslationPair> take_pairs(std::vector<PairFile>& files);
/// The pairs of a file in each direction, in the order of the directions' names.
std::vector<std::pair<nn::TranslationDirection, std::vector<optim::TranslationPair>>> by_direction(
    const std::vector<DirectedPair>& pairs);

}  // namespace qing::serve::translation
