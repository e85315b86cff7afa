// The named tensors of a file of pretrained weights in any format. Each is read when it is asked for. If the file
// stores its elements as memory does, the tensor lies on the file's own pages.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/formats/mapped_file.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// How the elements of a tensor are written.
enum class ElementCoding : uint8_t {
  plain,
  q8_0,  ///< blocks of 32: an f16 scale, 32 bytes; each stands for byte · scale
  q4_0,  ///< blocks of 32: an f16 scale, 16 bytes; byte j holds elements j and j + 16 in its low and high half, each of
         ///< which stands for (half − 8) · scale
};
inline constexpr int64_t kBlockElements = 32;
/// The bytes of one block of 32 elements of q8_0 or q4_0.
uint64_t block_bytes(ElementCoding coding);

struct TensorInfo {
  std::string name;
  std::string format;  ///< what the file calls the elements: "F16", "torch.HalfStorage", "Q4_0"
  DType dtype;         ///< of the tensor: the stored one, f32 for blocks
  Shape shape;
};

/// Where the elements of a tensor are. A reader has checked that they lie inside the file.
struct TensorSource {
  TensorInfo info;
  std::shared_ptr<const MappedFile> file;  ///< null where `values` has them
  uint64_t offset = 0;                     ///< in bytes
  ElementCoding coding = ElementCoding::plain;
  std::optional<Strides> strides = {};  ///< of a view; else the elements are contiguous
  Tensor values = {};                   ///< elements that no run of the file's bytes holds
};

/// What a reader finds in a file.
struct FileContents {
  std::vector<TensorSource> sources;
  std::map<std::string, std::string> metadata = {};
};

/// One tensor in its stored dtype, or in f32 for blocks of quantised numbers. It lies on the file's pages if possible.
Tensor read_tensor(const TensorSource& source);
/// Converted to `dtype` (Tensor::to). A tensor of another dtype does not keep its pages in memory.
Tensor read_tensor(const TensorSource& source, DType dtype);

/// Immutable and thread-safe. Its tensors stay valid after it is gone.
class WeightsFile {
 public:
  /// `format` names the file's format. Names must differ.
  WeightsFile(std::string path, std::string format, std::vector<TensorSource> sources,
              std::map<std::string, std::string> metadata = {});

  const std::string& path() const { return path_; }
  const std::string& format() const { return format_; }
  const std::vector<TensorInfo>& tensors() const { return infos_; }  ///< by name
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const TensorInfo* find(std::string_view name) const;  ///< null when absent

  /// read_tensor() of the tensor with this name. DataError "PATH: holds no tensor 'NAME'".
  Tensor tensor(std::string_view name) const;
  Tensor tensor(std::string_view name, DType dtype) const;
  /// All tensors, as tensor() gives them.
  StateDict state() const;

 private:
  const TensorSource& source(std::string_view name) const;

  std::string path_, format_;
  std::vector<TensorSource> sources_;  // in the order of infos_
  std::vector<TensorInfo> infos_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace qing::nn
