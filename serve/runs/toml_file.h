// Configuration files in TOML 1.0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace qing::serve::cli {

struct TomlEntry {
  std::string section;  ///< of the key, such as "train"; empty: none
  std::string key;
  std::vector<std::string> values;  ///< one, or those of a list. Numbers are as they stand in the file
  bool list = false;
  std::int64_t line = 0;
};

/// The entries of the file in the order of their lines. IoError; UsageError "file:line: ..." when the file is no TOML
/// or a value is neither a text, a number, a boolean nor a list of these.
std::vector<TomlEntry> read_toml(const std::filesystem::path& file);

/// The text as a TOML string, on one line, quotes included.
std::string toml_quoted(std::string_view text);
/// Whether TOML reads the text as a number.
bool is_toml_number(std::string_view text);

}  // namespace qing::serve::cli
