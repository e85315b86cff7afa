// Answers of a shadow version beside those of the version it may replace.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <qing/nn/models/text_classifier.h>
#include <qing/nn/problem.h>
#include <qing/serve/common/statistics.h>

namespace qing::serve {

/// Takes both versions' predictions of the same texts, in either order, and counts how far they agree once it has both:
/// by their label, by the set of labels of a multi-label model, and by the number of a regression, which is rarely the
/// same. Safe to use from two threads.
class ShadowComparison {
 public:
  explicit ShadowComparison(std::shared_ptr<ModelStatistics> statistics,
                            nn::Problem problem = nn::Problem::single_label)
      : statistics_(std::move(statistics)), problem_(problem) {}
  void served(std::vector<nn::Prediction> predictions);
  void shadow(std::vector<nn::Prediction> predictions);

 private:
  using Side = std::optional<std::vector<nn::Prediction>>;
  void take(Side& side, std::vector<nn::Prediction> predictions);

  bool agree(const nn::Prediction& a, const nn::Prediction& b) const;

  const std::shared_ptr<ModelStatistics> statistics_;
  const nn::Problem problem_;
  std::mutex mutex_;
  Side served_, shadow_;
};

}  // namespace qing::serve
