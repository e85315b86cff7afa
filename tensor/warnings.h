// Warnings about a program that probably forgets something. They are no errors, and each is given once in a process.
// Texts never hold data of the program. Thread-safe.
#pragma once

#include <functional>
#include <string_view>

namespace qing {

/// Gives the warning `text` unless one of this name was given before.
void warn_once(std::string_view name, std::string_view text);

/// Sends later warnings to `handler`, which may be called from any thread. Without one, as at
/// first, they are lines "qing: warning: ..." on standard error. A handler that does nothing silences them.
void set_warning_handler(std::function<void(std::string_view text)> handler);

/// Forgets which warnings were given: for tests of programs.
void forget_warnings();

}  // namespace qing
