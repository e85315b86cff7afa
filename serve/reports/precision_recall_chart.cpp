#include <qing/serve/reports/precision_recall_chart.h>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include <qing/serve/reports/svg.h>

namespace qing::serve::cli {
namespace {

constexpr size_t kMostPanels = 60, kMostSets = 6, kMostCurvePoints = 200, kColumns = 4;
constexpr double kSide = 150, kLeftMargin = 44, kTopMargin = 56, kBelow = 40, kPanelWidth = kSide + 60,
                 kPanelHeight = kSide + 76;

struct Place {
  double left, top;
  double x(double recall) const { return left + recall * kSide; }
  double y(double precision) const { return top + (1 - precision) * kSide; }
};

std::string look_of(size_t set) { return fmt::format("series-{}", set); }

void draw_frame(Svg& svg, const Place& place) {
  for (const double tick : {0.0, 0.5, 1.0}) {
    svg.line(place.left, place.y(tick), place.left + kSide, place.y(tick), "grid");
    svg.line(place.x(tick), place.top, place.x(tick), place.top + kSide, "grid");
    svg.text(place.left - 6, place.y(tick) + 4, fmt::format("{:g}", tick), Svg::Anchor::end, "quiet");
    svg.text(place.x(tick), place.top + kSide + 14, fmt::format("{:g}", tick), Svg::Anchor::middle, "quiet");
  }
}

// The curve with at most as many points as can be told apart, and the label's place at its threshold.
void draw_curve(Svg& svg, const Place& place, const MultiLabelEvaluation& evaluation, size_t label, size_t set,
                const std::string& name) {
  const std::vector<nn::PrecisionRecall> curve = nn::precision_recall_curve(evaluation.scored(label));
  const size_t step = curve.size() / kMostCurvePoints + 1;
  std::vector<std::pair<double, double>> points;
  for (size_t i = 0; i < curve.size(); i += step) {
    points.emplace_back(place.x(curve[i].recall), place.y(curve[i].precision));
  }
  if (!curve.empty()) points.emplace_back(place.x(curve.back().recall), place.y(curve.back().precision));
  svg.polyline(points, look_of(set));
  const nn::LabelMetrics chosen = evaluation.counts().label(static_cast<int64_t>(label));
  svg.dot(
      place.x(chosen.recall), place.y(chosen.precision), look_of(set),
      fmt::format("{}: {} at the threshold {:.4f}: precision {:.3f}, recall {:.3f}, F1 {:.3f}", name,
                  evaluation.labels[label], evaluation.thresholds[label], chosen.precision, chosen.recall, chosen.f1));
}

}  // namespace

std::string precision_recall_chart(const std::vector<std::pair<std::string, MultiLabelEvaluation>>& dev) {
  const size_t sets = std::min(dev.size(), kMostSets);
  const std::vector<std::string>& labels = dev.front().second.labels;
  std::vector<int64_t> supports(labels.size());
  for (const auto& [name, evaluation] : dev) {
    const nn::MultiLabelCounts counts = evaluation.counts();
    for (size_t i = 0; i < labels.size(); ++i) supports[i] += counts.label(static_cast<int64_t>(i)).support;
  }
  std::vector<size_t> order(labels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (order.size() > kMostPanels) {
    std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return supports[i]; });
    order.resize(kMostPanels);
  }
  const size_t columns = std::min(kColumns, order.size()), rows = (order.size() - 1) / columns + 1;
  Svg svg(kLeftMargin + static_cast<double>(std::max<size_t>(columns, 3)) * kPanelWidth,
          kTopMargin + static_cast<double>(rows) * kPanelHeight + kBelow, "Precision and recall of each label");
  svg.text(kLeftMargin, 24, "Precision (up) and recall (right) of each label", Svg::Anchor::start, "title");
  double legend = kLeftMargin;
  for (size_t set = 0; set < sets; ++set) {
    svg.text(legend, 42, dev[set].first, Svg::Anchor::start, look_of(set));
    legend += 8.0 * static_cast<double>(dev[set].first.size()) + 24;
  }
  for (size_t i = 0; i < order.size(); ++i) {
    const size_t column = i % columns, row = i / columns;
    const Place place{kLeftMargin + static_cast<double>(column) * kPanelWidth,
                      kTopMargin + 28 + static_cast<double>(row) * kPanelHeight};
    const size_t label = order[i];
    draw_frame(svg, place);
    svg.text(place.left, place.top - 8,
             fmt::format("{}, AP {:.3f}", labels[label], nn::average_precision(dev.front().second.scored(label))));
    for (size_t set = 0; set < sets; ++set) draw_curve(svg, place, dev[set].second, label, set, dev[set].first);
  }
  return svg.str();
}

}  // namespace qing::serve::cli
