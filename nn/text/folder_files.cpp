#include <qing/nn/text/folder_files.h>

#include <fmt/format.h>

#include <cstdint>
#include <system_error>
#include <utility>

#include <qing/nn/config_file.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn::text {

namespace fs = std::filesystem;

std::string read_bounded_file(const fs::path& path) {
  constexpr uintmax_t kMostBytes = uintmax_t{1} << 28;
  std::error_code unknown;
  const uintmax_t size = fs::file_size(path, unknown);
  if (!unknown && size > kMostBytes) {
    throw DataError(fmt::format("{}: has {} bytes; at most {} are read", path.string(), size, kMostBytes));
  }
  return read_file(path);
}

FolderFiles::FolderFiles(fs::path directory) : directory_(std::move(directory)) {
  for (const char* name :
       {kVocabFile, kTokenizerFile, kTokenizerConfigFile, kSpecialTokensFile, kAddedTokensFile, kConfigFile}) {
    if (is_there(path(name))) set(name, read_bounded_file(path(name)));
  }
  if (has(kTokenizerFile) && !is_there(path(kSourcePiecesFile))) return;
  for (const char* name : {kSourcePiecesFile, kTargetPiecesFile, kBpePiecesFile, kPiecesFile, kVocabularyFile}) {
    if (is_there(path(name))) set(name, read_bounded_file(path(name)));
  }
}

const std::string& FolderFiles::text(std::string_view name) const {
  const auto found = contents_.find(name);
  if (found == contents_.end()) throw IoError(fmt::format("{}: holds no {}", directory_.string(), name));
  return found->second;
}

void FolderFiles::set(std::string_view name, std::string content) {
  contents_.insert_or_assign(std::string(name), std::move(content));
}

void FolderFiles::save(const fs::path& directory) const {
  for (const auto& [name, content] : contents_) {
    if (name != kConfigFile) write_file_atomically(directory / name, content);
  }
}

}  // namespace qing::nn::text
