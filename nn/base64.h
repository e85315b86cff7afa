// Base64 (RFC 4648, section 4): padded, without line breaks. Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace qing::nn {

std::string encode_base64(std::string_view bytes);

/// The bytes of a base64 text. DataError, which names the position, when it is none.
std::string decode_base64(std::string_view text);

}  // namespace qing::nn
