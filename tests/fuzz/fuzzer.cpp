// One program for all targets: FUZZ_TARGET in the environment names it. Run by tests/fuzz/run.sh.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "fuzz/targets.h"

namespace {

void (*chosen())(std::string_view) {
  const char* const name = std::getenv("FUZZ_TARGET");
  for (const qing::fuzz::Target& target : qing::fuzz::targets()) {
    if (name != nullptr && std::string_view(name) == target.name) return target.run;
  }
  std::fprintf(stderr, "fuzzer: FUZZ_TARGET must be one of:");
  for (const qing::fuzz::Target& target : qing::fuzz::targets()) std::fprintf(stderr, " %s", target.name);
  std::fprintf(stderr, "\n");
  std::exit(2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  static void (*const run)(std::string_view) = chosen();
  run({reinterpret_cast<const char*>(data), size});
  return 0;
}
