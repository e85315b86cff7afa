#include <qing/serve/runs/token_cache.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>

#include <qing/nn/unique_keys.h>
#include <qing/optim/classifier/token_file.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/token_cache_entry.h>
#include <qing/serve/runs/token_manifest.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kUnfinished = ".unfinished-";
constexpr size_t kKeyDigits = 16;
// A file that was written so shortly before it was read may be written again without another time of change: the
// coarsest clock of a usual file system counts two seconds.
constexpr int64_t kClockStep = 2'000'000'000;

// Holds the cache against other processes while it lives. The kernel releases it however the process ends.
class CacheLock {
 public:
  CacheLock(const fs::path& folder, const std::function<void(const std::string&)>& tell) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw IoError(fmt::format("{}: cannot create the folder: {}", folder.string(), error.message()));
    const fs::path path = folder / ".lock";
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) throw IoError(fmt::format("{}: cannot open: {}", path.string(), std::strerror(errno)));
    try {
      lock(path, folder, tell);
    } catch (...) {
      close(fd_);
      throw;
    }
  }
  ~CacheLock() { close(fd_); }
  CacheLock(const CacheLock&) = delete;
  CacheLock& operator=(const CacheLock&) = delete;

 private:
  void lock(const fs::path& path, const fs::path& folder, const std::function<void(const std::string&)>& tell) const {
    if (flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    if (errno == EWOULDBLOCK) {
      tell(fmt::format("another process fills the cache {}; waiting for it", folder.string()));
      do {
        if (flock(fd_, LOCK_EX) == 0) return;
      } while (errno == EINTR);
    }
    throw IoError(fmt::format("{}: cannot lock: {}; give --token-cache a folder on a file system with locks",
                              path.string(), std::strerror(errno)));
  }

  int fd_;
};

// The files of a model folder that say how texts are split and which labels its head has.
std::string digest_of_model(const fs::path& folder) {
  std::string all;
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    const std::string suffix = entry.path().extension().string();
    if (entry.is_regular_file() && (suffix == ".json" || suffix == ".txt" || suffix == ".model")) {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  for (const fs::path& file : files) all += fmt::format("{} {}\n", file.filename().string(), sha256_of(file));
  return sha256_of_bytes(all);
}

std::string key_of(const TokenCacheRequest& request) {
  const optim::TrainOptions& o = request.options;
  json::array files, rules;
  for (const fs::path& file : request.files) files.emplace_back(fs::absolute(file).lexically_normal().string());
  for (const Setting& setting : request.settings) {
    rules.push_back({{"name", setting.name}, {"values", json::array(setting.values.begin(), setting.values.end())}});
  }
  json::object key{{"files", files}, {"rules", rules}, {"held", request.dev_share}, {"max_length", o.max_length}};
  if (o.from.empty()) {
    key["vocab"] = o.vocab;
    key["byte_level"] = o.byte_level;
  } else {
    key["from"] = digest_of_model(o.from);
  }
  return sha256_of_bytes(json::serialize(key)).substr(0, kKeyDigits);
}

std::vector<nn::Example> read_examples(const fs::path& file) {
  const json::value value = nn::read_json_file(file);
  std::vector<nn::Example> examples;
  try {
    for (const json::value& one : value.as_array()) {
      examples.push_back({.text = std::string(one.at("text").as_string()),
                          .label = one.at("label").to_number<int32_t>(),
                          .source = std::string(one.at("source").as_string()),
                          .group = one.at("group").to_number<int32_t>(),
                          .line = one.at("line").to_number<uint32_t>()});
    }
  } catch (const std::exception& error) { throw DataError(fmt::format("{}: {}", file.string(), error.what())); }
  return examples;
}

// Why an entry cannot be used; empty if it can. A file that was touched and has its old bytes gets its new time.
std::string objection(const fs::path& entry, const TokenCacheRequest& request) {
  try {
    TokenManifest manifest = read_token_manifest(entry / kManifestFile);
    const std::vector<std::string>& given = request.reading.labels;
    if (given.empty() ? manifest.labels_given : given != manifest.labels) {
      return fmt::format("it has the labels {}", fmt::join(manifest.labels, ", "));
    }
    if (digests_of_entry(entry) != manifest.digests) return "a file in it is missing or was changed";
    optim::TokenFile::open(entry / kTokensFile);
    const int64_t now =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    bool touched = false;
    for (TokenManifest::File& file : manifest.files) {
      const FileStamp stamp = stamp_of(file.path);
      if (stamp == file.stamp && stamp.modified + kClockStep < manifest.looked_at) continue;
      if (stamp.size != file.stamp.size || sha256_of(file.path) != file.sha256) {
        return fmt::format("{} has changed", file.path);
      }
      file.stamp = stamp;
      touched = true;
    }
    if (touched) {
      manifest.looked_at = now;
      write_token_manifest(entry / kManifestFile, manifest);
    }
    return {};
  } catch (const Error& error) { return error.what(); }
}

void put_in_place(const fs::path& made, const fs::path& entry) {
  if (is_there(entry)) {
    // The two names are exchanged in one step where the file system can, so that a complete entry exists at any moment.
    if (renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, entry.c_str(), RENAME_EXCHANGE) == 0) {
      remove_tree(made);
    } else if (errno == EINVAL || errno == ENOSYS) {
      // NFS and Lustre exchange no names. The lock keeps other processes away, and a crash between the two steps leaves
      // no entry, so that the next process makes it again.
      const fs::path old = entry.parent_path() / fmt::format("{}{}-old", kUnfinished, entry.filename().string());
      fs::rename(entry, old);
      fs::rename(made, entry);
      remove_tree(old);
    } else {
      throw IoError(fmt::format("{}: cannot replace: {}", entry.string(), std::strerror(errno)));
    }
  } else {
    fs::rename(made, entry);
  }
  sync_folder(entry.parent_path());
}

}  // namespace

CachedTexts read_cache_entry(const fs::path& entry) {
  const TokenManifest manifest = read_token_manifest(entry / kManifestFile);
  CachedTexts cached{
      .entry = entry,
      .labels = manifest.labels,
      .data = {},
      .held = {},
      .sample = read_examples(entry / kSampleFile),
      .texts = {
          .tokens = optim::TokenFile::open(entry / kTokensFile), .tokenizer = entry / kTokenizerFolder, .counts = {}}};
  std::vector<fs::path> paths;
  for (const TokenManifest::File& file : manifest.files) paths.emplace_back(file.path);
  const std::vector<std::string> names = names_of(paths, paths);
  for (size_t i = 0; i < manifest.files.size(); ++i) {
    const TokenManifest::File& file = manifest.files[i];
    cached.texts.counts.push_back(file.label_texts);
    cached.data.push_back({names[i], {file.path, file.sha256, file.label_texts, 0}, {}});
  }
  LabelledFile held{"held out", {"held out", {}, {}, 0}, read_examples(entry / kHeldFile)};
  for (nn::Example& example : held.examples) {
    if (example.source.empty()) example.source = names.at(static_cast<size_t>(example.group));
    held.file.label_texts.resize(manifest.labels.size());
    ++held.file.label_texts.at(static_cast<size_t>(example.label));
  }
  if (!held.examples.empty()) {
    held.file.sha256 = sha256_of(entry / kHeldFile);
    cached.held.push_back(std::move(held));
  }
  return cached;
}

CachedTexts cached_texts(const TokenCacheRequest& request) {
  const fs::path entry = request.folder / key_of(request);
  const CacheLock lock(request.folder, request.tell);
  if (is_there(entry)) {
    const std::string reason = objection(entry, request);
    if (reason.empty()) {
      request.tell(fmt::format("the tokenized texts are in the cache {}", entry.string()));
      return read_cache_entry(entry);
    }
    request.tell(fmt::format("the cache {} is made again: {}", entry.string(), reason));
  }
  try {
    for (const fs::directory_entry& old : entries_of(request.folder)) {
      if (old.path().filename().string().starts_with(kUnfinished)) remove_tree(old.path());
    }
    const fs::path made = request.folder / (kUnfinished + entry.filename().string());
    fs::create_directory(made);
    try {
      make_cache_entry(made, request);
      put_in_place(made, entry);
    } catch (...) {
      std::error_code ignored;
      remove_tree(made, ignored);
      throw;
    }
  } catch (const fs::filesystem_error& error) {
    throw IoError(fmt::format("{}: cannot write the cache: {}", error.path1().string(), error.code().message()));
  }
  return read_cache_entry(entry);
}

}  // namespace qing::serve::cli
