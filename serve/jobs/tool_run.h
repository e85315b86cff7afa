// Running a short command of another program, such as sbatch.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace qing::serve {

/// How a command ended and what it printed, each at most 1 MiB.
struct ToolResult {
  int code = 0;  ///< 128 + the signal that killed it
  std::string out, err;
};

/// Runs words[0], which is looked for in PATH, with this standard input of at most 60,000 bytes and these variables
/// "NAME=VALUE". The process gets no other file of this one. IoError when it cannot be started, and when it has not
/// ended after `time`: it is killed then. It is also killed, with an IoError, soon after `stopped` says true. This
/// process ignores SIGPIPE. Thread-safe.
ToolResult run_tool(std::vector<std::string> words, const std::string& input, std::vector<std::string> variables,
                    std::chrono::milliseconds time, const std::function<bool()>& stopped = {});

}  // namespace qing::serve
