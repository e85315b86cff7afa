#include "model_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <qing/tensor/errors.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

constexpr size_t kUnpackBytes = 64UL * 1024;
constexpr size_t kEntryPathBytes = 1024, kEntryNameBytes = 255;
constexpr std::int64_t kTarEndBytes = 1024;  // two blocks of zeros (POSIX.1-2017, pax, ustar interchange format)

[[noreturn]] void refuse_archive(const std::string& what) { throw DataError("archive: " + what); }

// The components of an entry's path; nothing for a path that could lead elsewhere or be misread.
std::optional<std::vector<std::string>> components_of(std::string_view path) {
  if (path.empty() || path.size() > kEntryPathBytes || path.front() == '/') return std::nullopt;
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), part.size() + 1));
    if (part.empty() || part == ".") continue;  // "./config.json", "run//loss.svg", "run/"
    const auto plain = [](char c) { return c > ' ' && c < 0x7f && c != '\\' && c != ':'; };
    const bool words = std::ranges::all_of(part, [&](char c) { return c == ' ' || plain(c); });
    if (part == ".." || part.size() > kEntryNameBytes || !words) return std::nullopt;
    parts.emplace_back(part);
  }
  return parts;
}

// Finder and bsdtar of macOS add these.
bool is_of_macos(const std::vector<std::string>& parts) {
  return std::ranges::any_of(parts, [](const std::string& part) {
    return part == "__MACOSX" || part == ".DS_Store" || part.starts_with("._");
  });
}

struct ClosedAtEnd {
  int file;
  ~ClosedAtEnd() { ::close(file); }
};

struct Free {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, Free>;

Reader new_reader() {
  Reader reader(archive_read_new());
  if (!reader) throw std::bad_alloc();
  archive_read_support_filter_gzip(reader.get());
  return reader;
}

// Errors of libarchive may quote names of entries, so they are not repeated.
[[noreturn]] void fail_reading(archive* reader) {
  const int why = archive_errno(reader);
  if (why == ENOMEM) throw std::bad_alloc();
  if (why == EIO || why == EMFILE || why == ENFILE) {
    throw IoError(fmt::format("the archive cannot be read: {}", std::strerror(why)));
  }
  refuse_archive(
      "cannot be unpacked: it is incomplete, has a password, or is another format; send a tar, a tar.gz or a zip");
}

void open_file(archive* reader, const fs::path& file) {
  if (archive_read_open_filename(reader, file.c_str(), kUnpackBytes) != ARCHIVE_OK) fail_reading(reader);
}

// Refuses a tar without its end at this byte. libarchive takes a tar that is cut between two files as whole.
void require_tar_end(const fs::path& file, std::int64_t at) {
  const Reader reader = new_reader();
  archive_read_support_format_raw(reader.get());  // the bytes of the tar itself
  open_file(reader.get(), file);
  archive_entry* entry = nullptr;
  if (archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) fail_reading(reader.get());
  std::array<char, kUnpackBytes> piece{};
  for (std::int64_t seen = 0; seen < at + kTarEndBytes;) {
    const la_ssize_t got = archive_read_data(reader.get(), piece.data(), piece.size());
    if (got < 0) fail_reading(reader.get());
    if (got == 0) refuse_archive("is incomplete: it has no end; send the whole archive");
    const auto begin = std::clamp<std::int64_t>(at - seen, 0, got);
    const auto end = std::clamp<std::int64_t>(at + kTarEndBytes - seen, 0, got);
    if (std::any_of(piece.data() + begin, piece.data() + end, [](char c) { return c != 0; })) {
      refuse_archive("is incomplete: it has no end; send the whole archive");
    }
    seen += got;
  }
}

class ArchiveReader {
 public:
  ArchiveReader(const fs::path& file, fs::path target, const ArchiveBounds& bounds)
      : file_(file), target_(std::move(target)), bounds_(bounds), archive_(new_reader()) {
    archive_read_support_format_tar(archive_.get());
    archive_read_support_format_zip(archive_.get());
    open_file(archive_.get(), file_);
  }

  UnpackedModel unpack() {
    for (std::uint64_t number = 1;; ++number) {
      archive_entry* entry = nullptr;
      const int code = archive_read_next_header(archive_.get(), &entry);
      if (code == ARCHIVE_EOF) break;
      // A warning is about a name in another character set, which is refused, or about a detail that has no effect.
      if (code != ARCHIVE_OK && code != ARCHIVE_WARN) fail_reading(archive_.get());
      if (number > bounds_.entries) refuse_many();
      take(entry, number);
    }
    if ((archive_format(archive_.get()) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR) {
      require_tar_end(file_, archive_read_header_position(archive_.get()));
    }
    if (model_.files == 0) refuse_archive("has no files; send a tar or zip archive of a model's folder");
    model_.folder = folder_of_model();
    return model_;
  }

 private:
  void take(archive_entry* entry, std::uint64_t number) {
    const char* const path = archive_entry_pathname(entry);
    const auto parts = path == nullptr ? std::nullopt : components_of(path);
    if (!parts) {
      refuse_archive(
          fmt::format("the path of entry {} is absolute, has \"..\" or has other characters than printable "
                      "ASCII; pack the model's folder itself",
                      number));
    }
    const auto type = archive_entry_filetype(entry);
    const bool is_link = archive_entry_hardlink(entry) != nullptr || archive_entry_symlink(entry) != nullptr;
    if (is_link || (type != AE_IFREG && type != AE_IFDIR)) {
      refuse_archive(
          fmt::format("entry {} is neither a file nor a folder; pack the files that links point to", number));
    }
    if (parts->empty() || is_of_macos(*parts)) return skip_data();
    fs::path place = target_;
    const size_t folders = parts->size() - (type == AE_IFREG ? 1 : 0);
    for (size_t i = 0; i < folders; ++i) {
      place /= (*parts)[i];
      make_folder(place, number);
    }
    type == AE_IFREG ? write_file(place / parts->back(), number) : skip_data();
  }

  // Data that are not written cost time to unpack, so they count as well.
  void skip_data() {
    std::array<char, kUnpackBytes> piece{};
    for (;;) {
      const la_ssize_t got = archive_read_data(archive_.get(), piece.data(), piece.size());
      if (got == 0) return;
      if (got < 0) fail_reading(archive_.get());
      skipped_ += static_cast<std::uint64_t>(got);
      if (skipped_ > bounds_.bytes) refuse_size();
    }
  }

  [[noreturn]] void refuse_many() const {
    refuse_archive(fmt::format("more than {} entries and folders", bounds_.entries));
  }
  [[noreturn]] void refuse_size() const {
    refuse_archive(fmt::format("is more than {} bytes when it is unpacked; --model-bytes allows more", bounds_.bytes));
  }

  void make_folder(const fs::path& place, std::uint64_t number) {
    if (::mkdir(place.c_str(), 0700) == 0) {
      if (++folders_ > bounds_.entries) refuse_many();
      return;
    }
    const int why = errno;
    struct stat info {};
    if (why == EEXIST && ::lstat(place.c_str(), &info) == 0) {
      if (S_ISDIR(info.st_mode)) return;
      refuse_archive(fmt::format("a folder of entry {} is also a file", number));
    }
    throw IoError(fmt::format("{}: {}", place.parent_path().string(), std::strerror(why)));
  }

  void write_file(const fs::path& place, std::uint64_t number) {
    const int file = ::open(place.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0 && errno == EEXIST) refuse_archive(fmt::format("entry {} stands twice", number));
    if (file < 0) throw IoError(fmt::format("{}: {}", place.parent_path().string(), std::strerror(errno)));
    const ClosedAtEnd closed{file};
    std::array<char, kUnpackBytes> piece{};
    for (;;) {
      const la_ssize_t got = archive_read_data(archive_.get(), piece.data(), piece.size());
      if (got == 0) break;
      if (got < 0) fail_reading(archive_.get());
      const auto size = static_cast<std::uint64_t>(got);
      if (size > bounds_.bytes - model_.bytes) refuse_size();
      model_.bytes += size;
      for (la_ssize_t at = 0; at < got;) {
        const ssize_t written = ::write(file, piece.data() + at, static_cast<size_t>(got - at));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) throw IoError(fmt::format("{}: {}", place.parent_path().string(), std::strerror(errno)));
        at += written;
      }
    }
    ++model_.files;
  }

  // `tar cf mood.tar 3/` puts everything into one folder.
  fs::path folder_of_model() const {
    const std::vector<fs::directory_entry> entries = entries_of(target_);
    return entries.size() == 1 && entries.front().is_directory() ? entries.front().path() : target_;
  }

  const fs::path file_, target_;
  const ArchiveBounds bounds_;
  const Reader archive_;
  UnpackedModel model_;
  std::uint64_t folders_ = 0, skipped_ = 0;
};

}  // namespace

UnpackedModel unpack_model(const fs::path& archive, const fs::path& target, const ArchiveBounds& bounds) {
  return ArchiveReader(archive, target, bounds).unpack();
}

}  // namespace qing::serve
