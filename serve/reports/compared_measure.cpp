#include <qing/serve/reports/compared_measure.h>

#include <fmt/format.h>

namespace qing::serve::cli {

std::string p_value_text(double p) { return p < 1e-4 ? "p < 0.0001" : fmt::format("p = {:.4f}", p); }

std::string measures_table(const std::string& title, const std::vector<ComparedMeasure>& measures, bool in_units) {
  const auto shown = [&](double value) {
    return in_units ? fmt::format("{:.6g}", value) : fmt::format("{:.4f}", value);
  };
  const auto with_sign = [&](double value) {
    return in_units ? fmt::format("{:+.6g}", value) : fmt::format("{:+.4f}", value);
  };
  const int width = in_units ? 12 : 8;
  std::string text =
      fmt::format("\n{:<28} {:>{}} {:>{}} {:>{}}  95% interval\n", title, "A", width, "B", width, "B - A", width);
  for (const ComparedMeasure& one : measures) {
    text += fmt::format("{:<28} {:>{}} {:>{}} {:>{}}  [{}, {}]\n", one.name, shown(one.first), width, shown(one.second),
                        width, with_sign(one.second - one.first), width, with_sign(one.difference.low),
                        with_sign(one.difference.high));
  }
  return text;
}

void write_measures(JsonWriter& json, const char* name, const std::vector<ComparedMeasure>& measures) {
  json.key(name).begin_object();
  for (const ComparedMeasure& one : measures) {
    json.key(one.name).begin_object().member("a", one.first).member("b", one.second);
    json.key("difference_interval").begin_array().value(one.difference.low).value(one.difference.high).end().end();
  }
  json.end();
}

DifferenceGroup group_of(const std::string& title, const std::vector<ComparedMeasure>& measures) {
  DifferenceGroup group{title, {}};
  for (const ComparedMeasure& one : measures) {
    group.rows.push_back({one.name, one.second - one.first, one.difference, ""});
  }
  return group;
}

}  // namespace qing::serve::cli
