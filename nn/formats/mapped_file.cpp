#include <qing/nn/formats/mapped_file.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include <qing/nn/formats/tensor_bytes.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
  throw IoError(path.string() + ": cannot " + what + ": " + std::strerror(error));
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

// The mappings of this process, by where they begin, with their ends.
struct Mappings {
  std::mutex mutex;
  std::map<const char*, const char*, std::less<>> ends;

  static Mappings& all() {
    static Mappings* const mappings = new Mappings;  // files may be closed by destructors after main
    return *mappings;
  }
};

// Drops the whole pages between the two. It is a hint: a system that ignores it reclaims them when memory is short.
void drop_pages(const char* begin, const char* end) {
  if (begin >= end) return;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* first = const_cast<char*>(begin);
  auto size = static_cast<size_t>(end - begin);
  if (std::align(page, page, first, size) != nullptr) madvise(first, size / page * page, MADV_DONTNEED);
}

// A C++ bool must be 0 or 1.
bool holds_bools(const char* bytes, int64_t count) {
  return std::all_of(bytes, bytes + count, [](char byte) { return byte == 0 || byte == 1; });
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // A pipe that nobody writes to would block the call.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) fail(path, "open", errno);
  struct stat status {};
  if (fstat(file.fd, &status) != 0) fail(path, "read", errno);
  if (S_ISDIR(status.st_mode)) fail(path, "read", EISDIR);
  if (!S_ISREG(status.st_mode)) throw IoError(path.string() + ": is no regular file; weights are read from one");
  const auto size = static_cast<size_t>(status.st_size);
  char* data = nullptr;
  if (size > 0) {
    // Private and writable: who writes to a tensor on these pages gets a copy of the page.
    void* const mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.fd, 0);
    if (mapped == MAP_FAILED) fail(path, "map", errno);
    data = static_cast<char*>(mapped);
    Mappings& mappings = Mappings::all();
    const std::lock_guard lock(mappings.mutex);
    mappings.ends[data] = data + size;
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, data, size));
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  Mappings& mappings = Mappings::all();
  const std::lock_guard lock(mappings.mutex);
  mappings.ends.erase(data_);
  munmap(data_, size_);
}

Tensor MappedFile::tensor(uint64_t offset, DType dtype, const Shape& shape,
                          const std::optional<Strides>& strides) const {
  Layout layout = Layout::contiguous(shape);
  if (strides) layout.strides = *strides;
  if (layout.numel() == 0) return Tensor::empty(shape, dtype);
  const int64_t elements = layout.extent().second + 1;
  char* const first = data_ + offset;
  return dispatch_all(dtype, [&](auto zero) {
    using T = decltype(zero);
    const bool aligned = reinterpret_cast<uintptr_t>(first) % alignof(T) == 0;
    if (aligned && (dtype != DType::boolean || holds_bools(first, elements))) {
      Tensor view = Tensor::wrap(reinterpret_cast<T*>(first), shape, strides,
                                 [file = shared_from_this()] { file->views_.fetch_sub(1); });
      views_.fetch_add(1);
      return view;
    }
    const Tensor copy = Tensor::empty({elements}, dtype);
    auto* const bytes = reinterpret_cast<char*>(copy.data<T>());
    std::memcpy(bytes, first, static_cast<size_t>(elements) * sizeof(T));
    if (dtype == DType::boolean) {
      for (int64_t i = 0; i < elements; ++i) bytes[i] = static_cast<char>(bytes[i] != 0);
    }
    return copy.as_strided(shape, layout.strides);
  });
}

void MappedFile::forget(uint64_t offset, uint64_t size) const {
  if (views_.load() == 0) drop_pages(data_ + offset, data_ + offset + size);
}

void MappedFile::forget(const Tensor& tensor) {
  if (!tensor.is_contiguous() || tensor.numel() == 0 || tensor.version() != 0) return;
  const std::span<const char> bytes = bytes_of(tensor);
  const char* const end = bytes.data() + bytes.size();
  Mappings& mappings = Mappings::all();
  const std::lock_guard lock(mappings.mutex);
  const auto behind = mappings.ends.upper_bound(bytes.data());
  if (behind == mappings.ends.begin() || std::prev(behind)->second < end) return;
  drop_pages(bytes.data(), end);
}

}  // namespace qing::nn
