// The files of a training, with digests to check later that they are unchanged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>

namespace qing::serve::cli {

struct DataFile {
  std::string path;
  std::string sha256;                ///< SHA-256 of the bytes, 64 hexadecimal digits
  std::vector<int64_t> label_texts;  ///< number of texts of each label
  int64_t unlabelled = 0;            ///< number of texts without one
  /// The number of texts where one may have several labels, or a number instead.
  std::optional<int64_t> all = {};
  int64_t texts() const;
};

struct LabelledFile {
  std::string name;  ///< as names_of() gives it
  DataFile file;
  std::vector<nn::Example> examples;  ///< an example without a source has the file's name as source
};

/// Reads each file by itself. `among` are all files of the training: a file has one name in all its reports. `reading`
/// has the labels and says how to read. IoError, DataError; UsageError when a file stands twice.
std::vector<LabelledFile> read_labelled(std::span<const std::filesystem::path> files,
                                        std::span<const std::filesystem::path> among,
                                        const nn::DatasetOptions& reading);

/// The same for texts without labels (nn::read_unlabelled).
std::vector<LabelledFile> read_unlabelled_files(std::span<const std::filesystem::path> files,
                                                std::span<const std::filesystem::path> among,
                                                const nn::DatasetOptions& options = {});

/// Moves out all examples, one file after another. The group of an example is the number of its file.
std::vector<nn::Example> take_examples(std::vector<LabelledFile>& files);

}  // namespace qing::serve::cli
