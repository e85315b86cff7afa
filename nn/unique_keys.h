// JSON objects in which a name stands twice: parsers differ in which one they take, so hostile files must not have
// them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace qing::nn {

/// The first name that stands twice in one object of a JSON text. None in a text that is not JSON: the parser proper
/// tells why.
std::optional<std::string> duplicate_key(std::string_view text);

}  // namespace qing::nn
