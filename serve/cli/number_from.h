// Checks of options that CLI11 lacks.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <type_traits>

#include <qing/optim/classifier/train_option_table.h>

namespace qing::serve::cli {

/// Checks that a number of type T is in the range. CLI11's own check accepts NaN. The description is the text of the
/// range.
template <class T> CLI::Validator in_range(const optim::OptionRange& range) {
  const auto check = [range](std::string& text) -> std::string {
    T value{};
    if (!CLI::detail::lexical_cast(text, value)) {
      return "'" + text + "' is not a " + (std::is_same_v<T, double> ? "number" : "whole number");
    }
    return range.contains(value) ? "" : "'" + text + "' is out of range; it must be " + range.text();
  };
  return CLI::Validator(check, range.text());
}

/// Checks that a number is in [low, high].
inline CLI::Validator number_from(double low, double high) { return in_range<double>({low, high}); }

}  // namespace qing::serve::cli
