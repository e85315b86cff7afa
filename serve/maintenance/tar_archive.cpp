#include "tar_archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <new>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/nn/unique_keys.h>
#include <qing/serve/common/draft.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/maintenance/durable_copy.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kName = 100, kPrefix = 155;
constexpr std::uint64_t kMostBytes = (std::uint64_t{1} << 33) - 1;  // 11 octal digits
constexpr size_t kMostManifest = size_t{1} << 28;

[[noreturn]] void fail_archive(const fs::path& path) {
  throw IoError(fmt::format("{}: {}", path.string(), std::strerror(errno)));
}

// The header of a member: 512 bytes of text fields, with octal numbers.
struct Header {
  std::array<char, kBlock> bytes{};

  struct Field {
    size_t at, size;
  };
  static constexpr Field name{0, kName}, mode{100, 8}, owner{108, 8}, group{116, 8}, length{124, 12}, time{136, 12},
      checksum{148, 8}, type{156, 1}, magic{257, 8}, prefix{345, kPrefix};

  void put(Field field, std::string_view text) { std::ranges::copy(text.substr(0, field.size), &bytes[field.at]); }
  void put_octal(Field field, std::uint64_t number) { put(field, fmt::format("{:0{}o}", number, field.size - 1)); }
  std::string_view get(Field field) const {
    const std::string_view text(&bytes[field.at], field.size);
    return text.substr(0, std::min(text.find('\0'), text.size()));
  }
  std::uint64_t octal(Field field) const {
    std::uint64_t number = 0;
    for (const char c : get(field)) {
      if (c == ' ') continue;
      if (c < '0' || c > '7') throw DataError("a header's number is not octal");
      number = number * 8 + static_cast<std::uint64_t>(c - '0');
    }
    return number;
  }
  // The sum of all bytes, with spaces in place of the checksum.
  std::uint64_t sum() const {
    std::uint64_t sum = 0;
    for (size_t i = 0; i < kBlock; ++i) {
      const bool own = i >= checksum.at && i < checksum.at + checksum.size;
      sum += own ? ' ' : static_cast<unsigned char>(bytes[i]);
    }
    return sum;
  }
};

// The prefix and the rest of a name, split at a slash; the prefix is empty if the name fits.
std::pair<std::string_view, std::string_view> split_name(std::string_view name) {
  if (name.size() <= kName) return {{}, name};
  const size_t slash = name.find('/', name.size() - kName - 1);
  if (slash == name.npos || slash > kPrefix || slash == 0) {
    throw ValueError(fmt::format("archive: '{}' is too long a name for the format ustar; shorten it", name));
  }
  return {name.substr(0, slash), name.substr(slash + 1)};
}

bool leads_out(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\\') != name.npos) return true;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return true;
    begin = end + 1;
  }
  return false;
}

class Extraction {
 public:
  Extraction(const fs::path& file, fs::path folder) : reader_(file), folder_(std::move(folder)) {}

  TarManifest run() {
    for (;;) {
      const Header header = next_header();
      if (header.sum() == 8UL * ' ') break;  // a block of zeros ends the archive
      take(header);
    }
    if (manifest_.empty()) throw DataError("has no manifest; it is cut off, or was not written by qing");
    return check();
  }

 private:
  Header next_header() {
    Header header;
    reader_.read_exactly(header.bytes);
    if (header.sum() != 8UL * ' ' && header.sum() != header.octal(Header::checksum)) {
      throw DataError("a header's checksum is wrong");
    }
    return header;
  }
  void take(const Header& header) {
    std::string name(header.get(Header::name));
    if (const std::string_view prefix = header.get(Header::prefix); !prefix.empty()) {
      name = std::string(prefix) + "/" + name;
    }
    if (leads_out(name)) throw DataError("a member's name leads out of the folder");
    if (const std::string_view type = header.get(Header::type); type != "0") {
      throw DataError(fmt::format("'{}' is no file", name));
    }
    if (!manifest_.empty()) throw DataError("has members behind its manifest");
    std::uint64_t left = header.octal(Header::length);
    const std::uint64_t padding = (kBlock - left % kBlock) % kBlock;
    if (name == TarWriter::kManifest) {
      if (left > kMostManifest) throw DataError("the manifest is too long");
      manifest_.resize(left);
      reader_.read_exactly(manifest_);
    } else {
      place(name, left);
    }
    std::array<char, kBlock> rest;
    reader_.read_exactly(std::span(rest).first(padding));
  }
  void place(const std::string& name, std::uint64_t left) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::vector<char> piece(size_t{1} << 16);
    write_new_file(path, [&] {
      const size_t size = static_cast<size_t>(std::min<std::uint64_t>(left, piece.size()));
      reader_.read_exactly(std::span(piece).first(size));
      left -= size;
      return std::span<const char>(piece.data(), size);
    });
    if (!found_.insert(name).second) throw DataError(fmt::format("'{}' stands twice", name));
  }
  TarManifest check() {
    const json::value manifest = nn::parse_file_json(manifest_);
    const json::object& digests = manifest.at("sha256").as_object();
    for (const auto& [name, digest] : digests) {
      if (!found_.contains(std::string(name))) throw DataError(fmt::format("'{}' is missing", std::string_view(name)));
      if (sha256_of(folder_ / std::string(name)) != std::string_view(digest.as_string())) {
        throw DataError(fmt::format("'{}' is not what the manifest says", std::string_view(name)));
      }
    }
    if (found_.size() != digests.size()) throw DataError("has members that its manifest does not name");
    return {std::string(manifest.at("format").as_string()), manifest.at("version").to_number<std::int64_t>()};
  }

  FileReader reader_;
  const fs::path folder_;
  std::set<std::string> found_;
  std::string manifest_;
};

void sync_tree(const fs::path& folder) {
  for (const fs::directory_entry& entry : entries_below(folder)) {
    if (entry.is_directory()) sync_folder(entry.path());
  }
  sync_folder(folder);
}

// The unfinished archive of any name, such as yesterday's, also one that has no entry yet.
bool is_archive_draft(const fs::path& path) {
  if (!is_file_draft_name(path.filename().string())) return false;
  std::error_code none;
  if (!fs::is_regular_file(fs::symlink_status(path, none))) return false;
  if (fs::file_size(path, none) == 0) return true;
  try {
    Header header;
    FileReader(path).read_exactly(header.bytes);
    return header.get(Header::magic) == "ustar";
  } catch (const Error&) { return false; }
}

}  // namespace

TarWriter::TarWriter(fs::path file) : file_(std::move(file)) {
  if (is_there(file_)) throw IoError(fmt::format("{}: exists; give another name", file_.string()));
  remove_abandoned(parent_folder(file_), is_archive_draft);
  for (;;) {
    draft_ = draft_name(draft_place(file_));
    fd_ = ::open(draft_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd_ < 0) fail_archive(draft_);
    try {
      lock_ = std::make_unique<DraftLock>(draft_);
    } catch (...) {
      ::close(fd_);
      ::unlink(draft_.c_str());
      throw;
    }
    if (lock_->there()) return;
    ::close(std::exchange(fd_, -1));
  }
}

TarWriter::~TarWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(draft_.c_str());
}

void TarWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_archive(draft_);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void TarWriter::begin(const std::string& name, std::uint64_t size) {
  if (size > kMostBytes) {
    throw ValueError(fmt::format("archive: '{}' has more than the 8 GiB that the format ustar allows", name));
  }
  const auto [prefix, rest] = split_name(name);
  Header header;
  header.put(Header::name, rest);
  header.put(Header::prefix, prefix);
  header.put_octal(Header::mode, 0600);
  header.put_octal(Header::owner, 0);
  header.put_octal(Header::group, 0);
  header.put_octal(Header::length, size);
  header.put_octal(Header::time, static_cast<std::uint64_t>(std::time(nullptr)));
  header.put(Header::type, "0");
  header.put(Header::magic, std::string_view("ustar\0"
                                             "00",
                                             8));
  header.put(Header::checksum, fmt::format("{:06o}", header.sum()));
  header.bytes[Header::checksum.at + 7] = ' ';
  write({header.bytes.data(), kBlock});
}

void TarWriter::pad(std::uint64_t size) {
  const std::array<char, kBlock> zeros{};
  write({zeros.data(), (kBlock - size % kBlock) % kBlock});
}

void TarWriter::add(const std::string& name, std::string_view content) {
  begin(name, content.size());
  write(content);
  pad(content.size());
  digests_[name] = sha256_of_bytes(content);
}

void TarWriter::add_file(const std::string& name, const fs::path& file) {
  digests_[name] = sha256_of(file);
  FileReader reader(file);
  begin(name, reader.size());
  std::vector<char> piece(size_t{1} << 16);
  std::uint64_t total = 0;
  while (const size_t size = reader.read(piece)) {
    write({piece.data(), size});
    total += size;
  }
  if (total != reader.size()) throw IoError(fmt::format("{}: has changed while it was read", file.string()));
  pad(total);
}

void TarWriter::add_folder(const std::string& name, const fs::path& folder) {
  if (!fs::is_directory(folder)) return;
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : entries_of(folder)) entries.push_back(entry.path());
  std::ranges::sort(entries);
  for (const fs::path& entry : entries) {
    const std::string inner = name + "/" + entry.filename().string();
    fs::is_directory(entry) ? add_folder(inner, entry) : add_file(inner, entry);
  }
}

void TarWriter::close(std::string_view format, std::int64_t version) {
  json::object digests;
  for (const auto& [name, digest] : digests_) digests[name] = digest;
  const json::object manifest{{"format", format}, {"version", version}, {"sha256", std::move(digests)}};
  add(kManifest, json::serialize(manifest));
  const std::array<char, 2 * kBlock> zeros{};
  write({zeros.data(), zeros.size()});
  if (::fsync(fd_) != 0) fail_archive(draft_);
  // Unlike a rename, a link never replaces a file.
  if (::link(draft_.c_str(), file_.c_str()) != 0) fail_archive(file_);
  ::unlink(draft_.c_str());
  ::close(std::exchange(fd_, -1));
  sync_folder(parent_folder(file_));
}

TarManifest extract_tar(const fs::path& file, const fs::path& folder) {
  std::error_code error;
  if (!fs::create_directory(folder, error)) {
    throw IoError(fmt::format("{}: {}", folder.string(), error ? error.message() : "exists"));
  }
  try {
    fs::permissions(folder, fs::perms::owner_all);
    TarManifest manifest = Extraction(file, folder).run();
    sync_tree(folder);
    return manifest;
  } catch (const std::exception& why) {
    remove_tree(folder, error);
    const bool no_memory = dynamic_cast<const std::bad_alloc*>(&why) != nullptr;
    if (no_memory || dynamic_cast<const IoError*>(&why) != nullptr) throw;
    if (const auto* failed = dynamic_cast<const fs::filesystem_error*>(&why)) {
      throw IoError(fmt::format("{}: {}", failed->path1().string(), failed->code().message()));
    }
    throw DataError(fmt::format("{}: {}; take another backup", file.string(), why.what()));
  }
}

}  // namespace qing::serve
