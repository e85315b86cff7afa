#include <qing/nn/formats/open_weights.h>

#include <fmt/format.h>

#include <cstring>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/formats/e5s1_file.h>
#include <qing/nn/formats/gguf_file.h>
#include <qing/nn/formats/onnx_model.h>
#include <qing/nn/formats/safetensors_header.h>
#include <qing/nn/formats/shard_index.h>
#include <qing/nn/formats/torch_file.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexSuffix = ".index.json", kSafetensorsSuffix = ".safetensors", kTorchSuffix = ".bin";

using File = std::shared_ptr<const MappedFile>;

// 8 bytes of a length that the file has room for, then a JSON object.
bool is_safetensors(std::string_view bytes) {
  constexpr size_t kLengthBytes = 8;
  uint64_t length = 0;
  if (bytes.size() <= kLengthBytes) return false;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const size_t start = bytes.substr(0, 64).find_first_not_of(" \t\n\r", kLengthBytes);
  return length <= kMaxSafetensorsHeader && start != bytes.npos && bytes[start] == '{';
}

WeightsFile open_file(const fs::path& path) {
  const auto weights = [&](const char* format, FileContents contents) {
    return WeightsFile(path.string(), format, std::move(contents.sources), std::move(contents.metadata));
  };
  const File file = MappedFile::open(path);
  const std::string_view bytes = file->bytes();
  if (is_torch_file(bytes)) return weights("PyTorch", {read_torch_file(file)});
  if (is_safetensors(bytes) || path.extension() == kSafetensorsSuffix) {
    return weights("safetensors", read_safetensors(file));
  }
  if (is_gguf(bytes)) {
    GgufFile gguf = read_gguf(file);
    auto metadata = gguf_metadata_texts(gguf);
    return weights("GGUF", {std::move(gguf.sources), std::move(metadata)});
  }
  if (is_e5s1(bytes)) return weights("E5S1", {read_e5s1(file).sources});
  if (is_onnx(bytes)) return weights("ONNX", {onnx_initializers(read_onnx(file))});
  throw DataError(
      fmt::format("{}: is of no format that qing reads: safetensors, PyTorch, ONNX, GGUF and E5S1", path.string()));
}

WeightsFile open_index(const fs::path& path) {
  const std::string stem = path.stem().stem().string();  // without .index.json
  const bool safetensors = stem.ends_with(kSafetensorsSuffix);
  const auto index = read_shard_index(path, safetensors ? kSafetensorsSuffix : kTorchSuffix);
  std::set<std::string> shards, found;
  for (const auto& [tensor, shard] : index) shards.insert(shard);
  FileContents all;
  for (const std::string& shard : shards) {
    const File file = MappedFile::open(path.parent_path() / shard);
    FileContents contents = safetensors ? read_safetensors(file) : FileContents{read_torch_file(file)};
    if (shard == *shards.begin()) all.metadata = std::move(contents.metadata);
    for (TensorSource& source : contents.sources) {
      check_shard(index, path, file->path(), source.info.name);
      found.insert(source.info.name);
      all.sources.push_back(std::move(source));
    }
  }
  for (const auto& [tensor, shard] : index) {
    if (found.count(tensor) == 0) fail_missing_tensor(path, tensor, shard);
  }
  return WeightsFile(path.string(), safetensors ? "safetensors" : "PyTorch", std::move(all.sources),
                     std::move(all.metadata));
}

}  // namespace

WeightsFile open_weights(const fs::path& path) {
  std::error_code none;
  if (!fs::is_directory(path, none)) {
    return path.filename().string().ends_with(kIndexSuffix) ? open_index(path) : open_file(path);
  }
  constexpr const char* kNames[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                    "pytorch_model.bin.index.json"};
  for (const char* name : kNames) {
    if (is_there(path / name)) return open_weights(path / name);
  }
  throw IoError(fmt::format("{}: holds none of {}", path.string(), fmt::join(kNames, ", ")));
}

}  // namespace qing::nn
