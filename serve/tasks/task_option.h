// An option that a task adds to `qing train`, beside the rows of the table of training options.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include <qing/optim/classifier/train_option_table.h>

namespace qing::serve {

/// One option. The value holds the default at first, and outlives the command line.
struct TaskOption {
  using Value = std::variant<std::string*, std::int64_t*, double*, std::filesystem::path*, std::vector<std::string>*,
                             std::vector<std::filesystem::path>*>;

  const char* name;  ///< on the command line, without leading dashes: "source-column"
  Value value;       ///< its type decides how the command line reads the option; lists repeat the option
  const char* help;  ///< a noun phrase without a full stop at its end
  const char* group = "Files";
  /// Of an int64_t or double; other types ignore it.
  optim::OptionRange range = {-1e15, 1e15};
  std::vector<std::string> choices = {};  ///< the values that a string may have; none: any
};

}  // namespace qing::serve
