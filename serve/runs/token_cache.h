// A cache of tokenized texts on the disk, for data sets that do not fit the memory.
//
//   DIR/.lock                     held while an entry is looked up or made
//   DIR/KEY/manifest.json         what the entry was made of, and the digests of its small files
//   DIR/KEY/tokens.bin            the texts to train on (optim/classifier/token_file.h)
//   DIR/KEY/held.json             the texts that are held out as a dev set
//   DIR/KEY/sample.json           some of the texts to train on, for the profile of the model's predictions
//   DIR/KEY/tokenizer/            the vocabulary
//
// KEY is a hash of the settings and of the paths of the data files, so that trainings with other settings have other
// entries. An entry is made under another name and renamed when it is complete.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/optim/classifier/streamed_texts.h>
#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/token_cache_entry.h>

namespace qing::serve::cli {

struct CachedTexts {
  std::filesystem::path entry;
  std::vector<std::string> labels;
  std::vector<LabelledFile> data;  ///< without examples; the counts are those of the texts to train on
  std::vector<LabelledFile> held;  ///< one with the texts that are held out, or none
  std::vector<nn::Example> sample;
  optim::StreamedTexts texts;
};

/// The entry of the cache, which is made if it is not there. An entry is used when all its files have the sizes and the
/// times that they had, or else the same SHA-256, and the given labels are its own. Another one is made again, as is
/// one that is cut, damaged or of another version; `tell` has the reason. Memory does not grow with the data. One
/// process at a time looks up or makes entries of a cache; others wait. IoError, DataError; LineError for a row that
/// cannot be used, unless `reading` skips it.
CachedTexts cached_texts(const TokenCacheRequest& request);

/// An entry that another process has just looked up. IoError, DataError.
CachedTexts read_cache_entry(const std::filesystem::path& entry);

}  // namespace qing::serve::cli
