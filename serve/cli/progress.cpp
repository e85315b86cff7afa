#include <qing/serve/cli/progress.h>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include <qing/serve/common/how_many.h>

namespace qing::serve::cli {
namespace {

constexpr int kBarWidth = 20;
// Often enough to show progress, and seldom enough to cost little and to keep logs short.
constexpr std::chrono::milliseconds kTerminalInterval{100};
constexpr std::chrono::milliseconds kPlainInterval{5000};

std::string duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "--:--";
  const auto whole = static_cast<int64_t>(std::llround(std::min(seconds, 3.6e6)));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{:02}:{:02}", whole / 60, whole % 60);
}

std::string bar(double share) {
  const int full = static_cast<int>(std::clamp(share, 0.0, 1.0) * kBarWidth);
  std::string text;
  for (int i = 0; i < kBarWidth; ++i) text += i < full ? "█" : "░";
  return text;
}

}  // namespace

ProgressDisplay::ProgressDisplay(const TrainingUnits& units)
    : units_(units), terminal_(isatty(STDERR_FILENO) == 1), next_(Clock::now()) {}

void ProgressDisplay::show(const optim::Progress& progress) {
  const bool last = progress.step >= progress.steps;
  if (!is_due(last)) return;
  const double share =
      progress.steps > 0 ? static_cast<double>(progress.step) / static_cast<double>(progress.steps) : 0;
  const std::string numbers = fmt::format("epoch {}/{}  {} {}  {:.0f} {}/s  loss {:.4f}  ETA {}", progress.epoch,
                                          progress.epochs, progress.texts, units_.examples, progress.tokens_per_second,
                                          units_.work, progress.loss, duration(progress.seconds_left));
  print(terminal_ ? fmt::format("{} {:3.0f}%  {}", bar(share), 100 * share, numbers)
                  : fmt::format("step {}/{}  {}", progress.step, progress.steps, numbers),
        last);
}

void ProgressDisplay::show(const optim::TeacherProgress& progress) {
  const bool last = progress.texts >= progress.all;
  if (!is_due(last)) return;
  print(fmt::format("teacher {}: {} of {}", progress.folder.string(), progress.texts, how_many(progress.all, "text")),
        last);
}

void ProgressDisplay::show_rows(int64_t rows, double share, double rows_per_second) {
  if (!is_due(false)) return;
  const std::string numbers = fmt::format("{}  {:.0f} rows/s", how_many(rows, "row"), rows_per_second);
  if (share <= 0) return print(numbers, false);
  const double seconds = static_cast<double>(rows) / rows_per_second * (1 / share - 1);
  print(fmt::format("{} {:3.0f}%  {}  ETA {}", bar(share), 100 * share, numbers, duration(seconds)), false);
}

bool ProgressDisplay::is_due(bool last) {
  const auto now = Clock::now();
  if (now < next_ && !last) return false;
  next_ = now + (terminal_ ? kTerminalInterval : kPlainInterval);
  return true;
}

void ProgressDisplay::print(const std::string& text, bool last) {
  if (terminal_) {
    // "\x1b[K" clears the rest of a longer previous line.
    fmt::print(stderr, "\r{}\x1b[K", text);
    open_line_ = true;
    if (last) end_line();
  } else {
    fmt::print(stderr, "{}\n", text);
  }
  std::fflush(stderr);
}

void ProgressDisplay::end_line() {
  if (open_line_) std::fputc('\n', stderr);
  open_line_ = false;
}

}  // namespace qing::serve::cli
