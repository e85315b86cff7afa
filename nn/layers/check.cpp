#include <qing/nn/layers/check.h>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing::nn {

void check_at_least(const char* layer, const char* argument, int64_t value, int64_t least) {
  if (value >= least) return;
  throw ValueError(fmt::format("{}: {} is {}; it must be at least {}", layer, argument, value, least));
}

void check_probability(const char* layer, double p) {
  if (!(p >= 0 && p < 1)) throw ValueError(fmt::format("{}: probability {} is outside [0, 1)", layer, p));
}

void check_generator(const char* layer, const Generator* rng) {
  if (rng == nullptr) {
    throw ValueError(
        fmt::format("{}: training mode needs a random generator; pass one to forward, or call eval()", layer));
  }
}

}  // namespace qing::nn
