#include "retry_after.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <qing/serve/common/characters.h>

namespace qing::serve {
namespace {

using std::chrono::seconds;
using std::chrono::sys_seconds;

// A text of one to nine digits.
std::optional<int> number(std::string_view text) {
  int value = 0;
  const char* end = text.data() + text.size();
  if (text.empty() || text.size() > 9 || !has_only(text, is_digit)) return std::nullopt;
  std::from_chars(text.data(), end, value);
  return value;
}

std::vector<std::string_view> words(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) found.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

std::optional<unsigned> month(std::string_view name) {
  static constexpr std::array<std::string_view, 12> kNames = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<unsigned>(found - kNames.begin()) + 1;
}

// "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT" or "Sun Nov  6 08:49:37 1994".
std::optional<sys_seconds> http_date(std::string_view text, sys_seconds now) {
  const std::vector<std::string_view> parts = words(text, " ,-");
  const bool zoned = parts.size() == 6 && parts[5] == "GMT";
  if (!zoned && parts.size() != 5) return std::nullopt;
  const auto clock = words(parts[zoned ? 4 : 3], ":");
  const auto day = number(parts[zoned ? 1 : 2]), year = number(parts[zoned ? 3 : 4]);
  const auto named = month(parts[zoned ? 2 : 1]);
  if (clock.size() != 3 || !day || !year || !named) return std::nullopt;
  const auto hour = number(clock[0]), minute = number(clock[1]), second = number(clock[2]);
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60 || *year > 9999) return std::nullopt;
  const auto in_year = [&](int y) {
    return std::chrono::year_month_day(std::chrono::year(y), std::chrono::month(*named),
                                       std::chrono::day(static_cast<unsigned>(*day)));
  };
  const auto time = std::chrono::hours(*hour) + std::chrono::minutes(*minute) + seconds(*second);
  if (parts[zoned ? 3 : 4].size() == 4) {
    const auto date = in_year(*year);
    return date.ok() ? std::optional<sys_seconds>(std::chrono::sys_days(date) + time) : std::nullopt;
  }
  // A two-digit year more than 50 years in the future is in the previous century (RFC 9110, 5.6.7).
  const int this_year =
      static_cast<int>(std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(now)).year());
  int full = this_year - this_year % 100 + *year % 100;
  if (full > this_year + 50) full -= 100;
  const auto date = in_year(full);
  return date.ok() ? std::optional<sys_seconds>(std::chrono::sys_days(date) + time) : std::nullopt;
}

}  // namespace

std::optional<seconds> retry_after(std::string_view value, sys_seconds now) {
  if (const auto count = number(value)) return seconds(*count);
  const auto date = http_date(value, now);
  if (!date) return std::nullopt;
  return std::max(seconds(0), *date - now);
}

}  // namespace qing::serve
