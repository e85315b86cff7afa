// Lists of names in one text, as the command line and the web page take them: good,fair,bad.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qing::serve::cli {

/// The names of a list, which commas separate. A comma of a name stands behind a backslash, and so does a backslash in
/// front of a comma or of a backslash: "good\, really,bad" are two names.
std::vector<std::string> list_items(std::string_view text);

/// The list of the names, as list_items() reads it.
std::string list_text(std::span<const std::string> items);

}  // namespace qing::serve::cli
