// JSON objects in files that a job's processes leave for each other.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace qing::serve {

/// IoError; DataError when the file holds no JSON object.
boost::json::object read_object_file(const std::filesystem::path& file);
/// The text of a member; empty when it is absent or no text.
std::string text_member_of(const boost::json::object& object, std::string_view name);

}  // namespace qing::serve
