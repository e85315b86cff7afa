// qing as one of the engines that are measured.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace qing::serve::cli {

struct EngineSetup {
  std::filesystem::path model;
  std::vector<std::string> texts;
  std::string precision;
  int threads = 1;
};

/// Answers the lines of the protocol in bench_engines.py; to be called in a process of its own.
std::function<std::string(std::string_view line)> qing_engine(const EngineSetup& setup);

/// Resident bytes of this process; 0 where the system does not tell.
int64_t resident_bytes();

}  // namespace qing::serve::cli
