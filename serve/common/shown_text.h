// Texts of data in a line of a terminal.
#pragma once

#include <cstddef>
#include <string>

namespace qing::serve {

/// The beginning of a text that is valid UTF-8, at most `most` bytes of it, with "..." if more follows. Line breaks and
/// tabs are spaces, and other invisible characters are written out.
std::string shown_text(std::string text, size_t most);

}  // namespace qing::serve
