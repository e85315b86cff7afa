// Archives in the format ustar (POSIX.1-1988, in POSIX.1-2017 under pax "ustar Interchange Format"), which tar reads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <qing/serve/common/draft.h>
#include <qing/tensor/files.h>

namespace qing::serve {

/// Writes an archive of files to a new file that only its owner can read. The last member is MANIFEST.json with the
/// SHA-256 of all others. close() makes the archive durable under its name; without it nothing is left. A process that
/// is killed leaves a draft, which the next writer in that folder removes. Not thread-safe. All functions throw
/// IoError.
class TarWriter {
 public:
  static constexpr const char* kManifest = "MANIFEST.json";

  /// IoError when the file exists.
  explicit TarWriter(std::filesystem::path file);
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  /// `name` is relative, with '/' between its parts. ValueError for a name that does not fit: 100 bytes behind a slash,
  /// and 155 before it.
  void add(const std::string& name, std::string_view content);
  /// A file that does not change meanwhile. IoError when it does.
  void add_file(const std::string& name, const std::filesystem::path& file);
  /// All files below a folder, in the order of their names. Nothing for a missing folder.
  void add_folder(const std::string& name, const std::filesystem::path& folder);
  /// `format` and `version` go into the manifest.
  void close(std::string_view format, std::int64_t version);

 private:
  void begin(const std::string& name, std::uint64_t size);
  void write(std::string_view bytes);
  void pad(std::uint64_t size);

  const std::filesystem::path file_;
  std::filesystem::path draft_;
  int fd_ = -1;
  std::unique_ptr<DraftLock> lock_;
  std::map<std::string, std::string> digests_;  // by name
};

struct TarManifest {
  std::string format;
  std::int64_t version = 0;
};

/// Extracts an archive of TarWriter into a new folder, which only its owner can read, and makes it durable. DataError,
/// with the folder removed, for an archive that is damaged, cut off, or has other members than its manifest says, and
/// for names that lead out of the folder. IoError, with the folder removed.
TarManifest extract_tar(const std::filesystem::path& file, const std::filesystem::path& folder);

}  // namespace qing::serve
