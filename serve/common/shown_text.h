// Texts of data in a line of a terminal, and texts of errors for clients.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace qing::serve {

/// The beginning of a text that is valid UTF-8, at most `most` bytes of it, with "..." if more follows. Line breaks and
/// tabs are spaces, and other invisible characters are written out.
std::string shown_text(std::string text, size_t most);

/// An error's text for a client, who is told no place on the server: "PLACE: " and "PLACE/" are gone, and FILE stands
/// where else the place stood.
std::string without_place(std::string text, const std::filesystem::path& place);

}  // namespace qing::serve
