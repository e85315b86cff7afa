// A config.json being read. Private to nn/.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

namespace qing::nn {

/// Reads one JSON object. Errors are DataErrors that name the file and the field. A field that is null counts as
/// missing.
class ConfigReader {
 public:
  /// IoError when the file cannot be read; DataError when it is not a JSON object or has a name twice in one.
  explicit ConfigReader(const std::filesystem::path& path);

  [[noreturn]] void fail(const std::string& what) const;
  const boost::json::value* find(std::string_view field) const;  ///< Null when missing.

  void require(std::string_view field, int64_t& into) const;
  void optional(std::string_view field, int64_t& into) const;
  void optional(std::string_view field, double& into) const;
  void optional(std::string_view field, bool& into) const;
  std::string text(std::string_view field, std::string_view absent) const;
  /// For what qing computes in one way only: fails unless the field is missing or `supported`.
  void only(std::string_view field, std::string_view supported) const;
  /// For settings that change results and that qing does not compute: fails where one is true.
  void refuse_if_true(std::initializer_list<std::string_view> fields) const;

 private:
  std::filesystem::path path_;
  boost::json::object object_;
};

}  // namespace qing::nn
