// What the fuzzers call, and the suite that repeats their corpora. A target takes any bytes and returns; what it must
// not do is crash, hang, leak, or throw anything but what the function under test documents.
#pragma once

#include <span>
#include <string_view>

namespace qing::fuzz {

struct Target {
  const char* name;  ///< of its folder below corpus/, too
  void (*run)(std::string_view bytes);
};

std::span<const Target> targets();

}  // namespace qing::fuzz
