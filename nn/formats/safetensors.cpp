#include <qing/nn/formats/safetensors.h>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <boost/json.hpp>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include <qing/nn/formats/safetensors_header.h>
#include <qing/nn/formats/tensor_bytes.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/files.h>
#include <qing/tensor/warnings.h>

namespace qing::nn {
namespace {

// The data section is used as it lies, which is right only where memory is little-endian too.
static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

namespace json = boost::json;

constexpr size_t kLengthBytes = 8;

}  // namespace

SafetensorsFile load_safetensors(const std::filesystem::path& path) {
  FileContents contents = read_safetensors(MappedFile::open(path));
  SafetensorsFile result{.tensors = {}, .metadata = std::move(contents.metadata)};
  for (const TensorSource& source : contents.sources) result.tensors.emplace(source.info.name, read_tensor(source));
  return result;
}

void save_safetensors(const std::filesystem::path& path, const SafetensorsFile& file) {
  if (file.tensors.empty()) {
    warn_once("save_safetensors without tensors",
              "save_safetensors: there are no tensors; does the module report its parts in visit()?");
  }
  json::object header;
  json::object metadata{{"format", "pt"}};  // transformers refuses a file that does not say its format
  for (const auto& [key, value] : file.metadata) metadata[key] = value;
  header[kSafetensorsMetadata] = std::move(metadata);

  // Wider elements first, as the reference implementation does: every tensor is then aligned to its element.
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, tensor] : file.tensors) {
    if (name == kSafetensorsMetadata)
      throw ValueError("save_safetensors: a tensor cannot be named __metadata__; rename it");
    if (!tensor.defined()) throw ValueError("save_safetensors: tensor '" + name + "' is undefined; give it a value");
    tensors.emplace_back(name, tensor.contiguous());
  }
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const auto& a, const auto& b) { return size_of(a.second.dtype()) > size_of(b.second.dtype()); });

  std::vector<std::string_view> parts(1);  // the first is the length and header, known last
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::span<char> bytes = bytes_of(tensor);
    header[name] = {{"dtype", safetensors_name(tensor.dtype())},
                    {"shape", json::array(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {offset, offset + bytes.size()}}};
    if (!bytes.empty()) parts.emplace_back(bytes.data(), bytes.size());
    offset += bytes.size();
  }
  std::string text = json::serialize(header);
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  const uint64_t length = text.size();
  if (length > kMaxSafetensorsHeader) {
    throw ValueError(
        fmt::format("save_safetensors: {}: the header takes {} bytes, more than the limit of {}; save "
                    "fewer tensors a file",
                    path.string(), length, kMaxSafetensorsHeader));
  }
  std::string head(kLengthBytes, '\0');
  std::memcpy(head.data(), &length, kLengthBytes);
  head += text;
  parts[0] = head;
  write_file_atomically(path, parts);
}

}  // namespace qing::nn
