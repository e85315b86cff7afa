#include <qing/nn/formats/shard_index.h>

#include <fmt/format.h>

#include <boost/json.hpp>

#include <qing/nn/formats/file_faults.h>
#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// A name of a file in the folder itself, not a way out of it.
bool plain_name(std::string_view name, std::string_view suffix) {
  return name.size() > suffix.size() && name.ends_with(suffix) && name.find('/') == name.npos &&
         name.find('\0') == name.npos;
}

}  // namespace

std::map<std::string, std::string> read_shard_index(const fs::path& path, std::string_view suffix) {
  const auto fail = [&](const std::string& what) { throw DataError(path.string() + ": " + what); };
  const json::value value = read_json_file(path);
  const json::object* object = value.if_object();
  const json::value* map = object == nullptr ? nullptr : object->if_contains("weight_map");
  if (map == nullptr || !map->is_object()) fail("has no object weight_map");
  std::map<std::string, std::string> shards;
  for (const auto& [name, shard] : map->get_object()) {
    if (!shard.is_string()) fail(fmt::format("the shard of '{}' is not a string", printable(name)));
    const std::string file(shard.get_string());
    if (!plain_name(file, suffix)) {
      fail(fmt::format("the shard of '{}' is '{}', which is not a {} file of this folder", printable(name),
                       printable(file), suffix));
    }
    shards.emplace(name, file);
  }
  return shards;
}

void check_shard(const std::map<std::string, std::string>& index, const fs::path& index_path, const fs::path& shard,
                 const std::string& tensor) {
  const auto place = index.find(tensor);
  if (place != index.end() && place->second == shard.filename()) return;
  throw DataError(fmt::format("{}: holds tensor '{}', which {} puts {}", shard.string(), printable(tensor),
                              index_path.filename().string(),
                              place == index.end() ? "nowhere" : "into " + place->second));
}

void fail_missing_tensor(const fs::path& index_path, const std::string& tensor, const std::string& shard) {
  throw DataError(fmt::format("{}: puts tensor '{}' into {}, which does not hold it", index_path.string(),
                              printable(tensor), shard));
}

}  // namespace qing::nn
