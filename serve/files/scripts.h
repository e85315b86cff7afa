// Guesses the language of a text from its script.
#pragma once

#include <string_view>

namespace qing::serve {

/// "chinese" for Han without kana, "japanese" with kana, "korean" for Hangul; "latin", "cyrillic", "greek", "arabic",
/// "hebrew", "devanagari" and "thai" for the scripts of many languages; "other" for letters of any other script; "none"
/// for a text without letters. The script of most letters decides. `text` is valid UTF-8. Thread-safe.
std::string_view language_by_script(std::string_view text);

}  // namespace qing::serve
