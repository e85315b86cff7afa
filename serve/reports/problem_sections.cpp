#include <qing/serve/reports/problem_sections.h>

#include <fmt/format.h>

#include <cmath>

#include <qing/nn/scale_metrics.h>
#include <qing/serve/reports/card_sections.h>

namespace qing::serve::cli {
namespace {

std::string percent_between(double value, nn::Interval interval) {
  return fmt::format("{:.2f} ({:.2f} to {:.2f})", 100 * value, 100 * interval.low, 100 * interval.high);
}

std::string set_markdown(const std::string& name, const MultiLabelEvaluation& evaluation) {
  const nn::MultiLabelCounts counts = evaluation.counts();
  const std::vector<nn::LabelSets> sets = evaluation.sets();
  const auto interval = [&](double (*metric)(const nn::MultiLabelCounts&)) {
    return nn::bootstrap_interval(sets, counts.labels(), metric);
  };
  return fmt::format(
      "| {} | {} | {} | {} | {} |\n", plain(name), counts.total(),
      percent_between(counts.micro().f1, interval([](const nn::MultiLabelCounts& some) { return some.micro().f1; })),
      percent_between(counts.macro().f1, interval([](const nn::MultiLabelCounts& some) { return some.macro().f1; })),
      percent_between(counts.subset_accuracy(), nn::wilson_interval(counts.matches(), counts.total())));
}

std::string labels_markdown(const MultiLabelEvaluation& evaluation) {
  const nn::MultiLabelCounts counts = evaluation.counts();
  std::string text = "| label | precision | recall | F1 | average precision | texts |\n|---|---|---|---|---|---|\n";
  for (size_t i = 0; i < evaluation.labels.size(); ++i) {
    const nn::LabelMetrics one = counts.label(static_cast<int64_t>(i));
    text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", plain(evaluation.labels[i]), percent(one.precision),
                        percent(one.recall), percent(one.f1), percent(nn::average_precision(evaluation.scored(i))),
                        one.support);
  }
  return text;
}

std::string sources_markdown(const MultiLabelEvaluation& evaluation) {
  std::string text = "| source | texts | micro-F1 | macro-F1 | subset accuracy |\n|---|---|---|---|---|\n";
  for (const auto& [source, counts] : evaluation.per_source()) {
    text += fmt::format("| {} | {} | {} | {} | {} |\n", plain(source), counts.total(), percent(counts.micro().f1),
                        percent(counts.macro().f1), percent(counts.subset_accuracy()));
  }
  return text;
}

}  // namespace

std::string scores_markdown(const std::vector<std::pair<std::string, MultiLabelEvaluation>>& dev) {
  std::string text =
      "Percent, with the thresholds below; 95% intervals by bootstrap over the texts, and of the subset accuracy by "
      "Wilson's formula. Micro-F1 counts the decisions of all labels together, macro-F1 is the mean over the labels, "
      "and "
      "the subset accuracy is the share of texts whose labels are all right.\n\n"
      "| dev set | texts | micro-F1 | macro-F1 | subset accuracy |\n|---|---|---|---|---|\n";
  for (const auto& [name, evaluation] : dev) text += set_markdown(name, evaluation);
  text += "\n![Precision and recall of each label](run/precision_recall.svg)\n";
  for (const auto& [name, evaluation] : dev) {
    text += fmt::format("\n### {}\n\n{}\n{}", plain(name), labels_markdown(evaluation), sources_markdown(evaluation));
  }
  return text;
}

std::string scores_markdown(const std::vector<std::pair<std::string, NumberEvaluation>>& dev) {
  std::string text =
      "| dev set | texts | MSE | root of it | mean absolute error | Pearson | Spearman "
      "|\n|---|---|---|---|---|---|---|\n";
  for (const auto& [name, one] : dev) {
    const double mse = nn::mean_squared_error(one.expected, one.predicted);
    text += fmt::format("| {} | {} | {:.6g} | {:.6g} | {:.6g} | {:.4f} | {:.4f} |\n", plain(name), one.expected.size(),
                        mse, std::sqrt(mse), nn::mean_absolute_error(one.expected, one.predicted),
                        nn::pearson_correlation(one.expected, one.predicted),
                        nn::spearman_correlation(one.expected, one.predicted));
  }
  return text;
}

std::string thresholds_markdown(const ThresholdCalibration& calibration) {
  std::string text = fmt::format(
      "A label is predicted when its score, the sigmoid of its logit, reaches its threshold. Each threshold has the "
      "greatest F1 of its label on the {} dev texts. They are stored in `config.json` as `thresholds`. They change no "
      "score and no logit, and `transformers` does not apply them.\n\n| label | threshold | dev texts with it "
      "|\n|---|---|---|\n",
      calibration.texts);
  for (size_t i = 0; i < calibration.labels.size(); ++i) {
    text += fmt::format("| {} | {:.4f} | {} |\n", plain(calibration.labels[i]), calibration.thresholds[i],
                        calibration.positives[i]);
  }
  const std::string warning = threshold_warning(calibration);
  if (!warning.empty()) text += fmt::format("\n**Warning:** {}.\n", plain(warning));
  return text;
}

}  // namespace qing::serve::cli
