#include "log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>

#include <fmt/chrono.h>

#include <qing/serve/common/json_writer.h>

namespace qing::serve {
namespace {

std::string line_of(std::string_view level, std::string_view event, std::initializer_list<LogField> fields) {
  // fmt 9.1 leaves fractions of a second out.
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  JsonWriter json;
  json.begin_object().member("time",
                             fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", now, now.time_since_epoch().count() % 1000));
  json.member("level", level).member("event", event);
  for (const auto& [name, value] : fields) {
    json.key(name);
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      json.value(*number);
    } else if (const auto* real = std::get_if<double>(&value)) {
      json.raw(fmt::format("{:.3f}", *real));
    } else {
      json.value(std::get<std::string_view>(value));
    }
  }
  json.end();
  return json.take() + "\n";
}

// stderr. It may be a pipe that nobody reads, and the service must keep answering then. A pipe that poll() reports as
// writable takes PIPE_BUF bytes without blocking (pipe(7)), so at most that many are written at a time.
class Output {
 public:
  void write(std::string_view level, std::string_view event, std::initializer_list<LogField> fields) noexcept {
    try {
      write(line_of(level, event, fields));
    } catch (const std::exception&) {
      const std::lock_guard lock(mutex_);
      ++lost_;
    }
  }

 private:
  void write(const std::string& line) {
    const std::lock_guard lock(mutex_);
    if (lost_ > 0) {
      const std::string told = line_of("warning", "log_lines_lost", {{"lines", lost_}});
      if (!put(cut_ ? "\n" + told : told)) {
        ++lost_;
        return;
      }
      lost_ = 0;
      cut_ = false;
    }
    if (!put(line)) ++lost_;
  }

  // Time limit for one line. After a line that exceeded it, lines are dropped without waiting until one can be written.
  static constexpr std::chrono::milliseconds kPatience{1000};
  static constexpr size_t kPiece = 4096;

  // Whether stderr accepts bytes before the deadline.
  static bool writable(std::chrono::steady_clock::time_point deadline) {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd stream{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
      const int ready = ::poll(&stream, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
      // A signal interrupts poll().
      if (ready >= 0 || errno != EINTR) return ready > 0;
    }
  }

  // Returns false when the line or its rest is dropped.
  bool put(std::string_view text) {
    const auto deadline = std::chrono::steady_clock::now() + (lost_ > 0 ? std::chrono::milliseconds(0) : kPatience);
    for (size_t at = 0; at < text.size();) {
      bool taken = writable(deadline);
      if (taken) {
        const ssize_t written = ::write(STDERR_FILENO, text.data() + at, std::min(kPiece, text.size() - at));
        if (written < 0 && errno == EINTR) continue;
        // On a non-blocking stream another writer may have filled the pipe.
        taken = written > 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
        if (taken && written <= 0) return true;  // a full disk or a closed pipe: there is nowhere to report it
        if (taken) at += static_cast<size_t>(written);
      }
      if (!taken) {
        cut_ = cut_ || at > 0;
        return false;
      }
    }
    return true;
  }

  std::mutex mutex_;
  std::int64_t lost_ = 0;
  bool cut_ = false;  // the last line that was written has no end
};

}  // namespace

void log_line(std::string_view level, std::string_view event, std::initializer_list<LogField> fields) noexcept {
  static Output output;
  output.write(level, event, fields);
}

}  // namespace qing::serve
