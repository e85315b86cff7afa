// A check of options that CLI11 lacks. Included by serve/cli/main.cpp and what it includes.
#pragma once

#include <CLI/CLI.hpp>
#include <sstream>
#include <string>

namespace qing::serve::cli {

/// A number from low to high; CLI11's own check lets NaN pass.
inline CLI::Validator number_from(double low, double high) {
  const auto check = [low, high](std::string& text) -> std::string {
    double value = 0;
    const bool inside = CLI::detail::lexical_cast(text, value) && value >= low && value <= high;
    std::ostringstream message;
    if (!inside) message << "'" << text << "' is not a number from " << low << " to " << high;
    return message.str();
  };
  return CLI::Validator(check, "NUMBER");
}

}  // namespace qing::serve::cli
