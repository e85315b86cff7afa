// The labelled files of a training, and what makes sure that they are the same ones again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>

namespace qing::serve::cli {

struct DataFile {
  std::string path;
  std::string sha256;                ///< of its bytes, 64 hexadecimal digits
  std::vector<int64_t> label_texts;  ///< how many texts have each label
  int64_t texts() const;
};

struct LabelledFile {
  std::string name;  ///< as names_of() gives it
  DataFile file;
  std::vector<nn::Example> examples;  ///< one without a source has the file's name
};

/// Reads each file by itself. `among` are all files of the training: a file has one name in all its reports. IoError,
/// DataError; UsageError when a file stands twice.
std::vector<LabelledFile> read_labelled(std::span<const std::filesystem::path> files,
                                        std::span<const std::filesystem::path> among,
                                        const std::vector<std::string>& labels);

/// All examples, one file after the other, each with its file's number for its group; the files keep none.
std::vector<nn::Example> take_examples(std::vector<LabelledFile>& files);

std::string sha256_of(const std::filesystem::path& file);  ///< IoError

}  // namespace qing::serve::cli
