#include <qing/nn/formats/sharded_safetensors.h>

#include <fmt/format.h>
#include <qing/nn/formats/open_weights.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <string_view>
#include <system_error>
#include <vector>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::string_view kSuffix = ".safetensors";

fs::path single_path(const fs::path& directory, const std::string& stem) {
  return directory / (stem + std::string(kSuffix));
}

fs::path index_path(const fs::path& directory, const std::string& stem) {
  return directory / (stem + std::string(kSuffix) + ".index.json");
}

std::string shard_name(const std::string& stem, size_t number, size_t count) {
  return fmt::format("{}-{:05}-of-{:05}{}", stem, number, count, kSuffix);
}

// Returns whether the name is shard_name() of this stem for some number and count.
bool is_shard_name(std::string_view name, std::string_view stem) {
  const auto take = [&name](std::string_view part) {
    if (!name.starts_with(part)) return false;
    name.remove_prefix(part.size());
    return true;
  };
  const auto take_number = [&name] {
    constexpr size_t kLeastDigits = 5;
    const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
    name.remove_prefix(digits);
    return digits >= kLeastDigits;
  };
  return take(stem) && take("-") && take_number() && take("-of-") && take_number() && name == kSuffix;
}

[[noreturn]] void fail(const fs::path& path, const char* what, const std::error_code& error) {
  throw IoError(path.string() + ": cannot " + what + ": " + error.message());
}

bool is_there(const fs::path& path) {
  std::error_code error;
  const bool found = fs::exists(path, error);
  if (error) fail(path, "check whether it exists", error);
  return found;
}

uint64_t bytes_in(const Tensor& tensor) { return static_cast<uint64_t>(tensor.numel()) * size_of(tensor.dtype()); }

}  // namespace

SafetensorsFile load_sharded_safetensors(const fs::path& directory, const std::string& stem) {
  const fs::path single = single_path(directory, stem), index = index_path(directory, stem);
  if (is_there(single)) return load_safetensors(single);
  if (!is_there(index)) {
    throw IoError(fmt::format("{}: holds neither {} nor {}", directory.string(), single.filename().string(),
                              index.filename().string()));
  }
  const WeightsFile file = open_weights(index);
  return {.tensors = file.state(), .metadata = file.metadata()};
}

void save_sharded_safetensors(const fs::path& directory, const SafetensorsFile& file, int64_t max_shard_bytes,
                              const std::string& stem) {
  if (max_shard_bytes <= 0) {
    throw ValueError(
        fmt::format("save_sharded_safetensors: max_shard_bytes is {}; it must be above 0", max_shard_bytes));
  }
  const auto most = static_cast<uint64_t>(max_shard_bytes);
  std::vector<SafetensorsFile> shards;
  uint64_t total = 0, used = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const uint64_t bytes = bytes_in(tensor);
    if (shards.empty() || (!shards.back().tensors.empty() && (bytes > most || used > most - bytes))) {
      shards.push_back({.tensors = {}, .metadata = file.metadata});
      used = 0;
    }
    shards.back().tensors.emplace(name, tensor);
    used += bytes;
    total += bytes;
  }

  const fs::path single = single_path(directory, stem), index = index_path(directory, stem);
  std::set<std::string> written;
  if (shards.size() <= 1) {
    save_safetensors(single, file);
  } else {
    json::object map;
    for (size_t i = 0; i < shards.size(); ++i) {
      const std::string name = shard_name(stem, i + 1, shards.size());
      save_safetensors(directory / name, shards[i]);
      written.insert(name);
      for (const auto& [tensor, value] : shards[i].tensors) map[tensor] = name;
    }
    const json::object content{{"metadata", {{"total_size", total}}}, {"weight_map", std::move(map)}};
    write_file_atomically(index, json::serialize(content));
  }
  std::vector<fs::path> stale = {written.empty() ? index : single};
  std::error_code error;
  for (const fs::directory_entry& entry : entries_of(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (is_shard_name(name, stem) && written.count(name) == 0) stale.push_back(entry.path());
  }
  if (error) fail(directory, "list", error);
  for (const fs::path& path : stale) {
    fs::remove(path, error);
    if (error) fail(path, "remove", error);
  }
}

}  // namespace qing::nn
