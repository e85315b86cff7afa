// A process of its own that answers lines: what it computes and keeps counts as nobody else's memory.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace qing::serve::cli {

/// Not thread-safe. Every failure of the process is an IoError "NAME: ...".
class Worker {
 public:
  /// Runs `answer` on each line in a copy of this process and sends what it returns, a line too. An exception ends the
  /// copy; its text becomes the error of ask().
  Worker(std::string name, const std::function<std::string(std::string_view line)>& answer);
  /// Runs a program that reads lines from stdin and writes an answer to stdout for each. Its stderr goes to `errors`.
  Worker(std::string name, const std::vector<std::string>& command, const std::filesystem::path& errors);
  /// Ends the process.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Waits for the answer. IoError when the process ends first.
  std::string ask(std::string_view line);

 private:
  void start(const std::function<void(int fd)>& child);

  std::string name_, buffer_;
  std::filesystem::path errors_;
  int fd_ = -1;
  pid_t process_ = -1;
};

}  // namespace qing::serve::cli
