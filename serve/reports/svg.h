// Drawings as SVG text: a few shapes, whose colours follow the reader's light or dark theme.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace qing::serve::cli {

/// Later shapes cover earlier ones. The looks of a shape are classes of the style sheet (svg.cpp): "ink", "faint",
/// "grid", "axis", and "series-0" to "series-5" for the series. Coordinates are in pixels with y pointing down.
class Svg {
 public:
  /// Screen readers read `title`.
  Svg(double width, double height, std::string_view title);

  enum class Anchor { start, middle, end };
  void text(double x, double y, std::string_view content, Anchor anchor = Anchor::start, std::string_view look = "ink");
  void line(double x1, double y1, double x2, double y2, std::string_view look);
  void polyline(std::span<const std::pair<double, double>> points, std::string_view look);
  void dot(double x, double y, std::string_view look, std::string_view tip);
  /// Filled with the colour of the first series at this opacity. `tip` is the tooltip.
  void cell(double x, double y, double width, double height, double opacity, std::string_view tip);
  std::string str() const { return body_ + "</svg>\n"; }

 private:
  std::string body_;
};

/// Escapes text for XML. Characters that XML does not allow are left out.
std::string xml_escaped(std::string_view text);

}  // namespace qing::serve::cli
