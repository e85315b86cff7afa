// The fuzz targets. The fuzzers call them, and so does the suite that repeats their corpora. A target takes any bytes
// and returns. It must not crash, hang, leak, or throw anything but the documented errors of the function under test.
#pragma once

#include <span>
#include <string_view>

namespace qing::fuzz {

struct Target {
  const char* name;  ///< also the name of its folder below corpus/
  void (*run)(std::string_view bytes);
};

std::span<const Target> targets();

}  // namespace qing::fuzz
