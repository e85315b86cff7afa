// A file of weights as memory: its pages are read when they are touched and shared by all processes that map the file.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include <qing/tensor/tensor.h>

namespace qing::nn {

/// Thread-safe. Nobody may shorten the file in place while it is mapped: touching a page that is gone ends the process
/// with SIGBUS. A file that is replaced by a rename, as qing writes, stays whole for those who have mapped it.
class MappedFile : public std::enable_shared_from_this<MappedFile> {
 public:
  /// IoError unless `path` is a readable regular file.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  /// A tensor whose first element is at byte `offset`. Without strides it is contiguous. Strides are not negative. All
  /// elements must be inside the file. The tensor lies on the file's pages and keeps the file mapped. Writing to it
  /// changes a copy of the page, not the file. It is a copy if the elements are not aligned, or if it is boolean and a
  /// byte is neither 0 nor 1.
  Tensor tensor(uint64_t offset, DType dtype, const Shape& shape,
                const std::optional<Strides>& strides = std::nullopt) const;
  /// Tells the system that these bytes are not needed soon, so that they do not count as this process's memory. Does
  /// nothing while a tensor lies on the file's pages.
  void forget(uint64_t offset, uint64_t size) const;
  /// The same for the pages of a mapped file that hold nothing but this tensor. They are read again when the tensor is
  /// used, so what was written through data() is lost. Does nothing after any other write, and for a tensor that lies
  /// in other memory.
  static void forget(const Tensor& tensor);

 private:
  MappedFile(std::filesystem::path path, char* data, size_t size) : path_(std::move(path)), data_(data), size_(size) {}

  std::filesystem::path path_;
  char* data_;  // null for an empty file
  size_t size_;
  mutable std::atomic<int64_t> views_{0};
};

}  // namespace qing::nn
