#include <qing/optim/parallel/launch.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace qing::optim {
namespace {

std::optional<int> number(const Environment& environment, const char* name) {
  const char* value = environment(name);
  if (value == nullptr) return std::nullopt;
  const std::string_view text = value;
  int parsed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc() || end != text.data() + text.size() || parsed < 0) return std::nullopt;
  return parsed;
}

}  // namespace

std::optional<Launch> launch(const Environment& environment) {
  struct Sign {
    const char *rank, *size;
    MpiLibrary library;
  };
  // Slurm gives its own variables beside those of the interface that --mpi names.
  static constexpr Sign kSigns[] = {
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", MpiLibrary::open_mpi},
      {"PMIX_RANK", "SLURM_STEP_NUM_TASKS", MpiLibrary::open_mpi},
      {"PMI_RANK", "PMI_SIZE", MpiLibrary::mpich},
      {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", MpiLibrary::none},
  };
  for (const Sign& sign : kSigns) {
    const std::optional<int> rank = number(environment, sign.rank), size = number(environment, sign.size);
    if (!rank || !size || *size < 1 || *rank >= *size) continue;
    if (sign.library == MpiLibrary::none && *size == 1) continue;
    return Launch{*rank, *size, sign.library, sign.size};
  }
  return std::nullopt;
}

std::optional<Launch> launch() {
  return launch([](const char* name) -> const char* { return std::getenv(name); });
}

}  // namespace qing::optim
