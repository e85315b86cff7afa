// Base64 (RFC 4648, section 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace qing::serve {

/// The bytes as text, padded and without line breaks.
std::string base64(std::string_view bytes);
/// The bytes of such a text; nothing for any other text.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace qing::serve
