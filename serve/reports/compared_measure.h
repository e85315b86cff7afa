// Measures of two models on the same texts, with intervals of their differences: tables, JSON and rows of charts.
#pragma once

#include <string>
#include <vector>

#include <qing/nn/intervals.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/reports/comparison_chart.h>

namespace qing::serve::cli {

/// A measure of both models; the interval holds 95% of the bootstrap differences, second minus first.
struct ComparedMeasure {
  std::string name;
  double first = 0, second = 0;
  nn::Interval difference = {};
};

/// "p < 0.0001" or "p = 0.0123"
std::string p_value_text(double p);

/// A blank line, a head with the title, and a row for each measure. Four decimals, or six digits for measures in the
/// unit of predicted numbers.
std::string measures_table(const std::string& title, const std::vector<ComparedMeasure>& measures,
                           bool in_units = false);

/// "name": {"MEASURE": {"a", "b", "difference_interval": [low, high]}, ...}
void write_measures(JsonWriter& json, const char* name, const std::vector<ComparedMeasure>& measures);

DifferenceGroup group_of(const std::string& title, const std::vector<ComparedMeasure>& measures);

}  // namespace qing::serve::cli
