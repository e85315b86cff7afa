// JSON text written by hand.
#pragma once

#include <string>
#include <string_view>

namespace qing::serve {

/// `text` as a JSON string, quotes included.
std::string json_quoted(std::string_view text);

}  // namespace qing::serve
