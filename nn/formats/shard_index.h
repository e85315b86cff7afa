// The index of weights that are spread over files: FILE.index.json, in Hugging Face's layout.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace qing::nn {

/// The file of every tensor, a plain name that ends in `suffix`. DataError when it is no index or names a file outside
/// its folder. IoError.
std::map<std::string, std::string> read_shard_index(const std::filesystem::path& path, std::string_view suffix);

/// DataError unless the index puts `tensor` into `shard`, the path of the file that holds it.
void check_shard(const std::map<std::string, std::string>& index, const std::filesystem::path& index_path,
                 const std::filesystem::path& shard, const std::string& tensor);

/// DataError "INDEX: puts tensor 'NAME' into SHARD, which does not hold it".
[[noreturn]] void fail_missing_tensor(const std::filesystem::path& index_path, const std::string& tensor,
                                      const std::string& shard);

}  // namespace qing::nn
