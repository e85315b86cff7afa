// The server's log: one JSON object a line on stderr. Callers never pass a user's text or a key.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <variant>

namespace qing::serve {

using LogValue = std::variant<std::int64_t, double, std::string_view>;
using LogField = std::pair<std::string_view, LogValue>;

/// Writes {"time":…,"level":…,"event":…, fields…} and a line break; lines of several threads do not mix. A line
/// that stderr does not take within a second is dropped, or cut. The lines after it are dropped without waiting, until
/// stderr takes bytes again. Then a line with the event log_lines_lost says how many were dropped or cut. A line for
/// which there is no memory is dropped, too. Throws nothing, so that handlers of errors can call it.
void log_line(std::string_view level, std::string_view event, std::initializer_list<LogField> fields = {}) noexcept;

}  // namespace qing::serve
