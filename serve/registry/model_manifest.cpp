#include "model_manifest.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/nn/unique_keys.h>
#include <qing/serve/common/sha256.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

void sync_file(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  const int failed = descriptor < 0 ? -1 : ::fsync(descriptor);
  const int why = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (failed != 0) throw IoError(fmt::format("{}: cannot be made durable: {}", file.string(), std::strerror(why)));
}

// A name of a file below the folder, and nothing that leads out of it.
bool stays_below(const fs::path& name) {
  return name.is_relative() && std::ranges::none_of(name, [](const fs::path& part) { return part == ".."; });
}

}  // namespace

void write_manifest(const fs::path& folder) {
  std::vector<fs::path> files, folders = {folder};
  for (const fs::directory_entry& entry : entries_below(folder)) {
    if (entry.is_directory()) folders.push_back(entry.path());
    if (entry.is_regular_file() && entry.path() != folder / kManifestFile) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  json::object digests;
  for (const fs::path& file : files) {
    sync_file(file);
    digests[file.lexically_relative(folder).generic_string()] = sha256_of(file);
  }
  write_file_atomically(folder / kManifestFile, json::serialize(json::object{{"sha256", digests}}) + "\n");
  for (const fs::path& one : folders) sync_folder(one);
}

void check_manifest(const fs::path& folder) {
  const fs::path manifest = folder / kManifestFile;
  if (!is_there(manifest)) return;
  const auto fail = [&](const std::string& what) {
    throw DataError(fmt::format("{}: {}; restore the version's folder from a backup", manifest.string(), what));
  };
  json::value parsed;
  try {
    parsed = nn::parse_file_json(read_file(manifest));
  } catch (const DataError& error) { fail(error.what()); }
  const json::object* top = parsed.if_object();
  const json::value* digests = top == nullptr ? nullptr : top->if_contains("sha256");
  if (digests == nullptr || !digests->is_object()) fail("has no member \"sha256\" with the digest of each file");
  for (const auto& [name, digest] : digests->get_object()) {
    const fs::path file{std::string(name)};
    if (!digest.is_string() || !stays_below(file)) fail("has an entry that is no file's digest");
    if (!fs::is_regular_file(folder / file)) fail(fmt::format("the file {} is missing", file.string()));
    if (sha256_of(folder / file) != std::string_view(digest.get_string())) {
      fail(fmt::format("the file {} has other bytes than when the version was made", file.string()));
    }
  }
}

}  // namespace qing::serve
