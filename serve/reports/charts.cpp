#include <qing/serve/reports/charts.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include <qing/serve/common/how_many.h>
#include <qing/serve/reports/axis.h>
#include <qing/serve/reports/svg.h>

namespace qing::serve::cli {
namespace {

using Points = std::vector<std::pair<double, double>>;
using Anchor = Svg::Anchor;

constexpr double kWidth = 760, kLeft = 64, kRight = 24, kPanel = 220, kTop = 56, kGap = 56;
constexpr size_t kMostPoints = 600;  // more than one point per pixel adds nothing
constexpr int kSeries = 6;

// A frame with axes. Steps run from 0 to `steps`, values from `low` to `high`.
class Panel {
 public:
  Panel(Svg& svg, double top, double steps, double low, double high)
      : svg_(svg), top_(top), steps_(std::max(steps, 1.0)), tick_(tick_of(high - low, 5)) {
    low_ = std::floor(low / tick_) * tick_;
    high_ = std::max(std::ceil(high / tick_) * tick_, low_ + tick_);
    for (int i = 0; low_ + i * tick_ <= high_ + tick_ / 2; ++i) {
      const double value = low_ + i * tick_;
      svg_.line(kLeft, y(value), kWidth - kRight, y(value), "grid");
      svg_.text(kLeft - 8, y(value) + 4, fmt::format("{:.4g}", value), Anchor::end, "quiet");
    }
    const double step = std::max(1.0, tick_of(steps_, 8));
    for (double at = 0; at <= steps_; at += step) {
      svg_.text(x(at), top_ + kPanel + 18, fmt::format("{:.0f}", at), Anchor::middle, "quiet");
    }
  }

  double x(double step) const { return kLeft + step / steps_ * (kWidth - kLeft - kRight); }
  double y(double value) const { return top_ + (high_ - value) / (high_ - low_) * kPanel; }

 private:
  Svg& svg_;
  double top_, steps_, tick_, low_ = 0, high_ = 0;
};

// Averages runs of equally many points, so that few enough points are drawn.
Points thinned(const Points& points) {
  const size_t run = (points.size() + kMostPoints - 1) / kMostPoints;
  if (run <= 1) return points;
  Points means;
  for (size_t begin = 0; begin < points.size(); begin += run) {
    const size_t end = std::min(points.size(), begin + run);
    double x = 0, y = 0;
    for (size_t i = begin; i < end; ++i) x += points[i].first, y += points[i].second;
    means.emplace_back(x / static_cast<double>(end - begin), y / static_cast<double>(end - begin));
  }
  return means;
}

// An exponential moving average over about a fiftieth of the steps, with Adam's bias correction.
Points smoothed(const std::vector<StepPoint>& steps) {
  const double keep = 1 - 1 / std::max(1.0, static_cast<double>(steps.size()) / 50);
  Points points;
  double sum = 0, weight = 0;
  for (const StepPoint& point : steps) {
    sum = keep * sum + (1 - keep) * point.loss;
    weight = keep * weight + (1 - keep);
    points.emplace_back(static_cast<double>(point.step), sum / weight);
  }
  return points;
}

Points placed(const Panel& panel, Points points) {
  for (auto& [x, y] : points) x = panel.x(x), y = panel.y(y);
  return points;
}

// Estimates the width of a text. Ideographs are as wide as they are high.
double width_of(std::string_view text) {
  double width = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) width += 6.5;
    if (byte >= 0xC0) width += byte >= 0xE0 ? 12 : 7;
  }
  return width;
}

std::string series(size_t i) { return fmt::format("series-{}", i % kSeries); }

void draw_loss(Svg& svg, const Metrics& metrics, double steps) {
  Points raw;
  for (const StepPoint& point : metrics.steps) raw.emplace_back(static_cast<double>(point.step), point.loss);
  raw = thinned(raw);
  double low = 0, high = 1;
  if (!raw.empty()) {
    const auto [least, greatest] =
        std::minmax_element(raw.begin(), raw.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    low = least->second, high = greatest->second;
  }
  svg.text(kLeft, 24, "Training loss", Anchor::start, "title");
  svg.text(kLeft, 42, "each step, and smoothed", Anchor::start, "quiet");
  const Panel panel(svg, kTop, steps, low, high);
  svg.polyline(placed(panel, raw), "faint");
  svg.polyline(placed(panel, thinned(smoothed(metrics.steps))), "series-0");
}

void draw_recall(Svg& svg, const Metrics& metrics, double steps) {
  const double top = kTop + kPanel + kGap + 36;
  double low = 1, high = 0;
  for (const EvaluationPoint& point : metrics.evaluations) {
    for (const DevScore& set : point.sets) {
      low = std::min(low, set.macro_recall);
      high = std::max(high, set.macro_recall);
    }
  }
  svg.text(kLeft, top - 32, "Macro-recall on the dev sets, %", Anchor::start, "title");
  const Panel panel(svg, top, steps, 100 * low, 100 * high);
  const std::vector<DevScore>& sets = metrics.evaluations.front().sets;
  double legend = kLeft;
  for (size_t i = 0; i < sets.size(); ++i) {
    Points points;
    for (const EvaluationPoint& point : metrics.evaluations) {
      if (i >= point.sets.size()) continue;
      points.emplace_back(panel.x(static_cast<double>(point.step)), panel.y(100 * point.sets[i].macro_recall));
    }
    svg.polyline(points, series(i));
    for (size_t at = 0; at < points.size(); ++at) {
      const EvaluationPoint& point = metrics.evaluations[at];
      svg.dot(points[at].first, points[at].second, series(i),
              fmt::format("{}, step {}: {:.2f}", sets[i].name, point.step, 100 * point.sets[i].macro_recall));
    }
    const double last = metrics.evaluations.back().sets[i].macro_recall;
    const std::string name = fmt::format("{} {:.2f}", sets[i].name, 100 * last);
    svg.text(legend, top - 14, name, Anchor::start, series(i));
    legend += width_of(name) + 24;
  }
}

void draw_means(Svg& svg, const Metrics& metrics, double steps, const Measure* measure) {
  const double top = kTop + kPanel + kGap + 36;
  Points points;
  for (const EvaluationPoint& point : metrics.evaluations) {
    points.emplace_back(static_cast<double>(point.step),
                        measure == nullptr ? point.score : measure->value_of(point.score));
  }
  const auto [least, greatest] = std::minmax_element(points.begin(), points.end(),
                                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  std::string title = fmt::format("{} on the dev sets", measure == nullptr ? "score" : measure->noun);
  if (title.front() >= 'a' && title.front() <= 'z') title.front() = static_cast<char>(title.front() - 'a' + 'A');
  svg.text(kLeft, top - 32, title, Anchor::start, "title");
  const Panel panel(svg, top, steps, least->second, greatest->second);
  svg.polyline(placed(panel, points), series(0));
  for (const auto& [step, value] : points) {
    svg.dot(panel.x(step), panel.y(value), series(0), fmt::format("step {:.0f}: {:.4f}", step, value));
  }
}

struct Grid {
  double left, top, cell;
};

void draw_matrix(Svg& svg, const std::vector<std::string>& labels, const nn::ConfusionMatrix& matrix,
                 const Grid& grid) {
  const int64_t count = matrix.labels();
  svg.text(grid.left, grid.top - 8, "predicted", Anchor::start, "quiet");
  for (int64_t row = 0; row < count; ++row) {
    const int64_t support = matrix.label(row).support;
    const double y = grid.top + 16 + static_cast<double>(row) * grid.cell;
    const std::string& label = labels[static_cast<size_t>(row)];
    svg.text(grid.left - 8, y + grid.cell / 2 + 4, label, Anchor::end);
    svg.text(grid.left + (static_cast<double>(row) + 0.5) * grid.cell, grid.top + 10, label, Anchor::middle);
    for (int64_t column = 0; column < count; ++column) {
      const double share =
          support == 0 ? 0 : static_cast<double>(matrix.count(row, column)) / static_cast<double>(support);
      const double x = grid.left + static_cast<double>(column) * grid.cell;
      const std::string& predicted = labels[static_cast<size_t>(column)];
      const std::string number = fmt::format("{}", matrix.count(row, column));
      const std::string percent = fmt::format("{:.1f}%", 100 * share);
      svg.cell(x + 1, y + 1, grid.cell - 2, grid.cell - 2, 0.04 + 0.96 * share,
               fmt::format("{} of {} predicted as {} ({})", number,
                           how_many(support, label + " text is", label + " texts are"), predicted, percent));
      const char* look = share > 0.75 ? "bright" : "ink";
      svg.text(x + grid.cell / 2, y + grid.cell / 2 - 2, number, Anchor::middle, look);
      svg.text(x + grid.cell / 2, y + grid.cell / 2 + 14, percent, Anchor::middle, look);
    }
  }
}

}  // namespace

std::string loss_chart(const Metrics& metrics, const Measure* measure) {
  const double last = metrics.steps.empty() ? 1 : static_cast<double>(metrics.steps.back().step);
  const int panels = metrics.evaluations.empty() ? 1 : 2;
  const bool has_classes = panels > 1 && !metrics.evaluations.front().sets.empty();
  Svg svg(kWidth, kTop + kPanel + kGap + (panels - 1) * (kPanel + kGap + 36),
          "Training loss by step" + std::string(panels == 1   ? ""
                                                : has_classes ? ", and macro-recall on the dev sets"
                                                              : ", and scores on the dev sets"));
  draw_loss(svg, metrics, last);
  if (panels > 1 && has_classes) draw_recall(svg, metrics, last);
  if (panels > 1 && !has_classes) draw_means(svg, metrics, last, measure);
  svg.text(kWidth - kRight, kTop + kPanel + 36, "step", Anchor::end, "quiet");
  return svg.str();
}

std::string confusion_chart(const std::vector<std::string>& labels,
                            const std::vector<std::pair<std::string, nn::ConfusionMatrix>>& matrices) {
  double longest = 0;
  for (const std::string& label : labels) longest = std::max(longest, width_of(label));
  const double cell = std::max({64.0, longest + 12, 300 / static_cast<double>(labels.size())});
  const double side = cell * static_cast<double>(labels.size()), left = longest + 40;
  const double width = left + side + 24, height = side + 104;
  const size_t columns = std::min<size_t>(matrices.size(), std::max<size_t>(1, static_cast<size_t>(1000 / width)));
  const size_t rows = matrices.empty() ? 0 : (matrices.size() - 1) / columns + 1;
  Svg svg(width * static_cast<double>(columns), height * static_cast<double>(rows), "Confusion matrices");
  for (size_t i = 0; i < matrices.size(); ++i) {
    const size_t row = i / columns, column = i % columns;
    const double x = width * static_cast<double>(column), y = height * static_cast<double>(row);
    const auto& [name, matrix] = matrices[i];
    svg.text(x + 16, y + 26, name, Anchor::start, "title");
    svg.text(x + 16, y + 44,
             fmt::format("{}, accuracy {:.1f}%, macro-recall {:.1f}%", how_many(matrix.total(), "text"),
                         100 * matrix.accuracy(), 100 * matrix.macro_recall()),
             Anchor::start, "quiet");
    draw_matrix(svg, labels, matrix, {x + left, y + 72, cell});
  }
  return svg.str();
}

}  // namespace qing::serve::cli
