// Lines on stdout.
#pragma once

#include <string_view>

namespace qing::serve::cli {

/// Writes the line and its end; IoError when stdout takes no more (a full disk, a closed pipe).
void print_line(std::string_view line);
/// To be called before a successful end, so that a lost line is a failure. IoError.
void flush_output();

}  // namespace qing::serve::cli
