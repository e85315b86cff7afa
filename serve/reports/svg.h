// Drawings as SVG text: a few shapes, whose colours follow the reader's light or dark theme.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace qing::serve::cli {

/// Shapes are added in the order in which they cover each other. A shape's looks are classes of the style sheet
/// (svg.cpp): "ink", "faint", "grid", and "series-0" to "series-5" for what belongs together. Coordinates are in
/// pixels, y down.
class Svg {
 public:
  /// `title` is what a screen reader reads.
  Svg(double width, double height, std::string_view title);

  enum class Anchor { start, middle, end };
  void text(double x, double y, std::string_view content, Anchor anchor = Anchor::start, std::string_view look = "ink");
  void line(double x1, double y1, double x2, double y2, std::string_view look);
  void polyline(std::span<const std::pair<double, double>> points, std::string_view look);
  void dot(double x, double y, std::string_view look, std::string_view tip);
  /// Filled in the first series' colour at that opacity; `tip` shows under the pointer.
  void cell(double x, double y, double width, double height, double opacity, std::string_view tip);
  std::string str() const { return body_ + "</svg>\n"; }

 private:
  std::string body_;
};

/// Text for XML: markup escaped, characters that XML does not allow left out.
std::string xml_escaped(std::string_view text);

}  // namespace qing::serve::cli
