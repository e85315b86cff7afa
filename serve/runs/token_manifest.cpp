#include <qing/serve/runs/token_manifest.h>

#include <fmt/format.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <exception>

#include <qing/nn/unique_keys.h>
#include <qing/serve/common/sha256.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve::cli {
namespace {

namespace json = boost::json;

constexpr const char* kCacheFormat = "qing-token-cache";
constexpr int64_t kCacheVersion = 1;

TokenManifest manifest_from(const json::value& value) {
  TokenManifest manifest;
  for (const json::value& one : value.at("files").as_array()) {
    TokenManifest::File file{.path = std::string(one.at("path").as_string()),
                             .sha256 = std::string(one.at("sha256").as_string()),
                             .stamp = {one.at("size").to_number<uint64_t>(), one.at("modified").as_int64()},
                             .label_texts = {}};
    for (const json::value& count : one.at("label_texts").as_array()) file.label_texts.push_back(count.as_int64());
    manifest.files.push_back(std::move(file));
  }
  for (const json::value& label : value.at("labels").as_array()) manifest.labels.emplace_back(label.as_string());
  manifest.labels_given = value.at("labels_given").as_bool();
  manifest.looked_at = value.at("looked_at").as_int64();
  for (const auto& [name, digest] : value.at("digests").as_object()) {
    manifest.digests.emplace(name, std::string(digest.as_string()));
  }
  for (const TokenManifest::File& file : manifest.files) {
    if (file.label_texts.size() != manifest.labels.size()) throw DataError("a file has counts of other labels");
  }
  return manifest;
}

}  // namespace

FileStamp stamp_of(const std::filesystem::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) {
    throw IoError(fmt::format("{}: cannot read: {}", file.string(), std::strerror(errno)));
  }
  constexpr int64_t kNanoseconds = 1'000'000'000;
  return {static_cast<uint64_t>(status.st_size), status.st_mtim.tv_sec * kNanoseconds + status.st_mtim.tv_nsec};
}

TokenManifest read_token_manifest(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  try {
    const json::value value = nn::parse_file_json(text);
    if (value.at("format").as_string() != kCacheFormat) throw DataError("it is of no token cache");
    if (const int64_t version = value.at("version").as_int64(); version != kCacheVersion) {
      throw DataError(fmt::format("it has version {}; this program reads {}", version, kCacheVersion));
    }
    return manifest_from(value);
  } catch (const std::exception& error) {
    throw DataError(fmt::format("{}: is no manifest of a token cache: {}", file.string(), error.what()));
  }
}

void write_token_manifest(const std::filesystem::path& file, const TokenManifest& manifest) {
  json::array files;
  for (const TokenManifest::File& one : manifest.files) {
    files.push_back({{"path", one.path},
                     {"sha256", one.sha256},
                     {"size", one.stamp.size},
                     {"modified", one.stamp.modified},
                     {"label_texts", json::array(one.label_texts.begin(), one.label_texts.end())}});
  }
  json::object digests;
  for (const auto& [name, digest] : manifest.digests) digests[name] = digest;
  const json::object object{{"format", kCacheFormat},
                            {"version", kCacheVersion},
                            {"files", files},
                            {"labels", json::array(manifest.labels.begin(), manifest.labels.end())},
                            {"labels_given", manifest.labels_given},
                            {"looked_at", manifest.looked_at},
                            {"digests", digests}};
  write_file_atomically(file, json::serialize(object));
}

std::map<std::string, std::string> digests_of_entry(const std::filesystem::path& entry) {
  std::map<std::string, std::string> digests;
  for (const auto& file : entries_below(entry)) {
    const std::string name = file.path().lexically_relative(entry).string();
    if (!file.is_regular_file() || name == kTokensFile || name == kManifestFile) continue;
    digests.emplace(name, sha256_of(file.path()));
  }
  return digests;
}

}  // namespace qing::serve::cli
