#include "state_check.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing::serve {
namespace fs = std::filesystem;

void check_state(const State& state) {
  const auto refuse = [&](const std::string& reason) {
    throw IoError(
        fmt::format("{}: {}; give a folder that can be written with --state", state.folder().string(), reason));
  };
  std::error_code ignored;
  fs::path there = fs::absolute(state.folder());
  while (!fs::exists(fs::symlink_status(there, ignored)) && there.has_relative_path()) there = there.parent_path();
  if (!fs::is_directory(there, ignored)) refuse(fmt::format("{} is no folder", there.string()));
  if (::access(there.c_str(), W_OK | X_OK) != 0) refuse(std::strerror(errno));
  if (state.exists()) state.open();
}

}  // namespace qing::serve
