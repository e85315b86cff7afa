// Base64 (RFC 4648, section 4).
#pragma once

#include <string>
#include <string_view>

namespace qing::serve {

/// The bytes as text, padded and without line breaks.
std::string base64(std::string_view bytes);

}  // namespace qing::serve
