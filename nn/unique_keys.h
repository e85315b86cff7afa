// JSON texts whose objects hold each name once. Parsers differ in which of two members with the same name they
// use, so a text that repeats a name is ambiguous (RFC 7493, 2.3).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/fwd.hpp>

namespace qing::nn {

/// The first duplicate name in an object of a JSON text. None in a text that is not JSON: the parser reports that
/// error.
std::optional<std::string> duplicate_key(std::string_view text);

/// Whether an object of `text` repeats a name. `parsed` is the value that Boost.JSON read from the text. Costs one pass
/// over each, which is less than duplicate_key().
bool repeats_a_key(std::string_view text, const boost::json::value& parsed);

/// The value of the JSON text of a file; a byte order mark before it is skipped (RFC 8259, 8.1). DataError "what;
/// remedy", without the file's name, when the text is not JSON or an object repeats a name. Thread-safe.
boost::json::value parse_file_json(std::string_view text);
/// The value of a JSON file. DataError "path: what", as parse_file_json() has it; IoError. Thread-safe.
boost::json::value read_json_file(const std::filesystem::path& path);

}  // namespace qing::nn
