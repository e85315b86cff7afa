#include <qing/serve/reports/svg.h>

#include <fmt/format.h>

namespace qing::serve::cli {
namespace {

constexpr std::string_view kStyle = R"(<style>
  svg { background: #ffffff; font: 12px system-ui, sans-serif; }
  text { fill: #1f2328; stroke: none; }
  text.title { font-size: 15px; font-weight: 600; }
  text.quiet { fill: #59636e; }
  text.bright { fill: #ffffff; }
  line, polyline { fill: none; stroke-width: 1; }
  .grid { stroke: #d1d9e0; }
  .axis { stroke: #59636e; }
  polyline { stroke-width: 2; stroke-linejoin: round; }
  polyline.faint { stroke: #8fa8d6; stroke-width: 1; opacity: .6; }
  rect { fill: #2458b8; }
  .series-0 { stroke: #2458b8; fill: #2458b8; } .series-1 { stroke: #c2410c; fill: #c2410c; }
  .series-2 { stroke: #15803d; fill: #15803d; } .series-3 { stroke: #9333ea; fill: #9333ea; }
  .series-4 { stroke: #a16207; fill: #a16207; } .series-5 { stroke: #0e7490; fill: #0e7490; }
  polyline[class] { fill: none; }
  text[class] { stroke: none; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; }
    text { fill: #e6edf3; }
    text.quiet { fill: #9198a1; }
    .grid { stroke: #3d444d; }
    .axis { stroke: #9198a1; }
    polyline.faint { stroke: #5c7ab8; }
    rect { fill: #3b75d9; }
    .series-0 { stroke: #79a6f6; fill: #79a6f6; } .series-1 { stroke: #fb923c; fill: #fb923c; }
    .series-2 { stroke: #4ade80; fill: #4ade80; } .series-3 { stroke: #c084fc; fill: #c084fc; }
    .series-4 { stroke: #facc15; fill: #facc15; } .series-5 { stroke: #22d3ee; fill: #22d3ee; }
  }
</style>
)";

std::string_view name_of(Svg::Anchor anchor) {
  switch (anchor) {
    case Svg::Anchor::middle: return "middle";
    case Svg::Anchor::end: return "end";
    default: return "start";
  }
}

}  // namespace

std::string xml_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) escaped += c;
    }
  }
  return escaped;
}

Svg::Svg(double width, double height, std::string_view title)
    : body_(fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
                        "height=\"{1:.0f}\" role=\"img\">\n<title>{2}</title>\n{3}",
                        width, height, xml_escaped(title), kStyle)) {}

void Svg::text(double x, double y, std::string_view content, Anchor anchor, std::string_view look) {
  body_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n", x, y,
                       name_of(anchor), look, xml_escaped(content));
}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view look) {
  body_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1, x2, y2,
                       look);
}

void Svg::polyline(std::span<const std::pair<double, double>> points, std::string_view look) {
  std::string all;
  for (const auto& [x, y] : points) all += fmt::format("{}{:.1f},{:.1f}", all.empty() ? "" : " ", x, y);
  body_ += fmt::format("<polyline points=\"{}\" class=\"{}\"/>\n", all, look);
}

void Svg::dot(double x, double y, std::string_view look, std::string_view tip) {
  body_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" class=\"{}\"><title>{}</title></circle>\n", x, y,
                       look, xml_escaped(tip));
}

void Svg::cell(double x, double y, double width, double height, double opacity, std::string_view tip) {
  body_ += fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill-opacity=\"{:.3f}\">"
      "<title>{}</title></rect>\n",
      x, y, width, height, opacity, xml_escaped(tip));
}

}  // namespace qing::serve::cli
