#include "log.h"

#include <chrono>
#include <cstdio>
#include <ctime>

#include <fmt/format.h>

#include <qing/serve/http/message.h>

namespace qing::serve {
namespace {

std::string utc_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = milliseconds / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, milliseconds % 1000);
}

}  // namespace

void log_line(std::string_view level, std::string_view event, std::initializer_list<LogField> fields) {
  std::string line =
      fmt::format(R"({{"time":"{}","level":{},"event":{})", utc_now(), json_quoted(level), json_quoted(event));
  for (const auto& [name, value] : fields) {
    line += fmt::format(",{}:", json_quoted(name));
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      line += fmt::format("{}", *number);
    } else if (const auto* real = std::get_if<double>(&value)) {
      line += fmt::format("{:.3f}", *real);
    } else {
      line += json_quoted(std::get<std::string>(value));
    }
  }
  line += "}\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace qing::serve
