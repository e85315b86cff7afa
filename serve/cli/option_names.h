// The options that messages of the library name, as the command calls them.
#pragma once

#include <string>
#include <string_view>

namespace qing::serve::cli {

/// The message with "--text-column" for "the option text_column", and so on for each option of the command that a
/// message of the library names.
std::string with_option_names(std::string_view message);

}  // namespace qing::serve::cli
