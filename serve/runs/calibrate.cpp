#include <qing/serve/runs/calibrate.h>

#include <fmt/format.h>

#include <algorithm>

#include <qing/nn/calibration.h>
#include <qing/nn/models/classifier_config.h>

namespace qing::serve::cli {

std::string calibration_warning(const Calibration& calibration) {
  constexpr int64_t kEvents = 10;
  const int64_t right = calibration.texts - calibration.wrong;
  const bool bound = calibration.temperature <= nn::kLeastTemperature ||  //
                     calibration.temperature >= nn::kGreatestTemperature;
  if (bound) {
    return fmt::format("the temperature {:.4g} is a bound of its range [{:g}, {:g}]; the scores are not calibrated",
                       calibration.temperature, nn::kLeastTemperature, nn::kGreatestTemperature);
  }
  if (std::min(calibration.wrong, right) >= kEvents) return {};
  return fmt::format(
      "the temperature {:.4g} is uncertain: only {} of {} dev texts are {}; give dev sets with at least {} correctly "
      "classified and {} misclassified texts",
      calibration.temperature, calibration.wrong < kEvents ? calibration.wrong : right, calibration.texts,
      calibration.wrong < kEvents ? "misclassified" : "classified correctly", kEvents, kEvents);
}

std::pair<Calibration, std::vector<std::pair<std::string, Evaluation>>> calibrate(const std::filesystem::path& folder,
                                                                                  std::span<const LabelledFile> dev) {
  const auto model = nn::TextClassifier::load(folder);
  Calibration calibration;
  std::vector<std::pair<std::string, Evaluation>> evaluations;
  std::vector<float> logits;
  std::vector<int32_t> expected;
  for (const LabelledFile& set : dev) {
    const Evaluation& one = evaluations.emplace_back(set.name, evaluate(*model, set.examples)).second;
    logits.insert(logits.end(), one.logits.begin(), one.logits.end());
    expected.insert(expected.end(), one.expected.begin(), one.expected.end());
    calibration.texts += one.all.total();
    calibration.wrong += one.all.total();
    for (int64_t i = 0; i < one.all.labels(); ++i) calibration.wrong -= one.all.count(i, i);
  }
  calibration.temperature = nn::fit_temperature({logits, expected, static_cast<int64_t>(model->labels().size())});
  nn::ClassifierConfig config = nn::ClassifierConfig::load(folder / "config.json");
  config.calibration_temperature = calibration.temperature;
  config.save(folder / "config.json");
  for (auto& [name, evaluation] : evaluations) evaluation.temperature = calibration.temperature;
  return {calibration, std::move(evaluations)};
}

}  // namespace qing::serve::cli
