#include <qing/serve/runs/dev_scores.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <qing/nn/calibration.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {

double Measure::score(std::span<const DevScore> sets) const {
  double mean = 0;
  for (const DevScore& set : sets) mean += set.*value / static_cast<double>(sets.size());
  return greater_is_better ? mean : -mean;
}

std::span<const Measure> measures() {
  static constexpr std::array<Measure, 4> kMeasures = {{{"macro_recall", "macro-recall", &DevScore::macro_recall, true},
                                                        {"accuracy", "accuracy", &DevScore::accuracy, true},
                                                        {"macro_f1", "macro-F1", &DevScore::macro_f1, true},
                                                        {"loss", "log loss", &DevScore::loss, false}}};
  return kMeasures;
}

const Measure& measure_of(std::string_view name) {
  const auto found = std::ranges::find(measures(), name, &Measure::name);
  if (found == measures().end()) throw ValueError(fmt::format("measure: there is no '{}'", name));
  return *found;
}

std::vector<DevScore> score_dev(const std::filesystem::path& folder, std::span<const LabelledFile> dev) {
  const auto model = nn::TextClassifier::load(folder);
  std::vector<DevScore> scores;
  for (const LabelledFile& file : dev) {
    const Evaluation one = evaluate(*model, file.examples);
    scores.push_back({file.name, one.all.accuracy(), one.all.macro_recall(), one.all.macro_f1(),
                      nn::log_loss(one.labelled_logits())});
  }
  return scores;
}

}  // namespace qing::serve::cli
