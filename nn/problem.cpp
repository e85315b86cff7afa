#include <qing/nn/problem.h>

#include <charconv>
#include <cmath>

namespace qing::nn {

std::string_view name_of(Problem problem) {
  switch (problem) {
    case Problem::multi_label: return "multi-label";
    case Problem::ordinal: return "ordinal";
    case Problem::regression: return "regression";
    default: return "single-label";
  }
}

std::optional<Problem> problem_named(std::string_view name) {
  for (const Problem problem : {Problem::single_label, Problem::multi_label, Problem::ordinal, Problem::regression}) {
    if (name_of(problem) == name) return problem;
  }
  return std::nullopt;
}

std::string_view problem_type_of(Problem problem) {
  switch (problem) {
    case Problem::multi_label: return "multi_label_classification";
    case Problem::regression: return "regression";
    default: return "single_label_classification";
  }
}

bool same_scores(Problem a, Problem b) {
  const auto scores = [](Problem problem) { return problem == Problem::ordinal ? Problem::single_label : problem; };
  return scores(a) == scores(b);
}

std::optional<double> number_of(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
  return whole ? std::optional(value) : std::nullopt;
}

std::vector<double> places_of(std::span<const std::string> labels) {
  std::vector<double> places;
  for (const std::string& label : labels) {
    const std::optional<double> number = number_of(label);
    if (!number || (!places.empty() && *number <= places.back())) break;
    places.push_back(*number);
  }
  if (places.size() == labels.size()) return places;
  places.clear();
  for (size_t i = 0; i < labels.size(); ++i) places.push_back(static_cast<double>(i + 1));
  return places;
}

}  // namespace qing::nn
