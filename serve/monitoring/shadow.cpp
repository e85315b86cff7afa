#include "shadow.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace qing::serve {

void ShadowComparison::served(std::vector<nn::Prediction> predictions) { take(served_, std::move(predictions)); }
void ShadowComparison::shadow(std::vector<nn::Prediction> predictions) { take(shadow_, std::move(predictions)); }

bool ShadowComparison::agree(const nn::Prediction& a, const nn::Prediction& b) const {
  switch (problem_) {
    case nn::Problem::multi_label: return a.labels == b.labels;
    case nn::Problem::regression: return a.value == b.value;
    default: return a.label == b.label;
  }
}

void ShadowComparison::take(Side& side, std::vector<nn::Prediction> predictions) {
  const std::lock_guard lock(mutex_);
  side = std::move(predictions);
  if (!served_ || !shadow_) return;
  for (size_t i = 0; i < std::min(served_->size(), shadow_->size()); ++i) {
    const nn::Prediction &a = (*served_)[i], &b = (*shadow_)[i];
    double difference = 0;
    for (size_t j = 0; j < std::min(a.scores.size(), b.scores.size()); ++j) {
      difference += std::abs(double{a.scores[j]} - b.scores[j]) / static_cast<double>(a.scores.size());
    }
    // A sum that has once taken up what is no number would stay so.
    if (!std::isfinite(difference)) {
      ++statistics_->shadow_dropped;
      continue;
    }
    ++statistics_->shadow_texts;
    if (agree(a, b)) ++statistics_->shadow_agreed;
    // The counter is a whole number of millionths. A difference counts as 1e9 at most, so that the sum cannot overflow
    // soon.
    statistics_->shadow_difference += static_cast<std::uint64_t>(std::lround(std::min(difference, 1e9) * 1e6));
  }
}

}  // namespace qing::serve
