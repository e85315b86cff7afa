#include <qing/serve/reports/comparison_chart.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <qing/serve/reports/axis.h>
#include <qing/serve/reports/svg.h>

namespace qing::serve::cli {
namespace {

using Anchor = Svg::Anchor;

constexpr double kChartWidth = 860, kNames = 230, kNotes = 200, kRowHeight = 24, kHead = 64, kFoot = 44,
                 kTitleHeight = 34;

// The greatest distance from 0 of all intervals, in percentage points.
double reach_of(const std::vector<DifferenceGroup>& groups) {
  double reach = 0;
  for (const DifferenceGroup& group : groups) {
    for (const DifferenceRow& row : group.rows) {
      reach = std::max({reach, std::abs(row.difference), std::abs(row.interval.low), std::abs(row.interval.high)});
    }
  }
  return 100 * reach;
}

std::string shortened_name(const std::string& name) {
  constexpr size_t kMost = 34;
  if (name.size() <= kMost) return name;
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return name.substr(0, end) + "…";
}

}  // namespace

std::string difference_chart(const std::string& title, const std::vector<DifferenceGroup>& groups) {
  double height = kHead + kFoot;
  for (const DifferenceGroup& group : groups) {
    height += kTitleHeight + kRowHeight * static_cast<double>(group.rows.size());
  }
  const double tick = tick_of(2 * std::max(reach_of(groups), 0.5), 8);
  const double most = tick * std::ceil(std::max(reach_of(groups), 0.5) / tick);
  const auto x = [&](double points) { return kNames + (points + most) / (2 * most) * (kChartWidth - kNames - kNotes); };
  Svg svg(kChartWidth, height, title);
  svg.text(16, 26, title, Anchor::start, "title");
  svg.text(16, 46, "Differences in percentage points, with 95% intervals (paired bootstrap)", Anchor::start, "quiet");
  const double bottom = height - kFoot;
  const auto ticks = static_cast<int>(std::lround(most / tick));
  for (int i = -ticks; i <= ticks; ++i) {
    svg.line(x(i * tick), kHead, x(i * tick), bottom, i == 0 ? "axis" : "grid");
    svg.text(x(i * tick), bottom + 18, fmt::format("{:+.3g}", i * tick), Anchor::middle, "quiet");
  }
  double y = kHead;
  for (const DifferenceGroup& group : groups) {
    y += kTitleHeight;
    svg.text(16, y - 8, group.title, Anchor::start, "title");
    for (const DifferenceRow& row : group.rows) {
      const double middle = y + kRowHeight / 2, points = 100 * row.difference;
      svg.text(16, middle + 4, shortened_name(row.name));
      svg.line(x(100 * row.interval.low), middle, x(100 * row.interval.high), middle, "series-0");
      svg.dot(x(points), middle, "series-0",
              fmt::format("{}: {:+.2f}, {:+.2f} to {:+.2f}", row.name, points, 100 * row.interval.low,
                          100 * row.interval.high));
      svg.text(kChartWidth - 16, middle + 4, fmt::format("{:+.2f}   {}", points, row.note), Anchor::end, "quiet");
      y += kRowHeight;
    }
  }
  return svg.str();
}

}  // namespace qing::serve::cli
