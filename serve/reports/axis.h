// Axes of charts.
#pragma once

#include <algorithm>
#include <cmath>

namespace qing::serve::cli {

/// The smallest of 1, 2 and 5 times a power of ten that divides the span into at most `most` parts.
inline double tick_of(double span, int most) {
  const double rough = std::max(span, 1e-9) / most;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

}  // namespace qing::serve::cli
