// The rule for names of labels: answers, metrics and tables are keyed by them.
#pragma once

#include <span>
#include <string>

namespace qing::nn {

/// Checks that every label can be told from the others wherever its name is written. ValueError "labels: what", with
/// the label's index, unless each name is valid UTF-8, is not blank, has no control character (tables are separated by
/// tabs and line breaks) and occurs once.
void check_label_names(std::span<const std::string> labels);

}  // namespace qing::nn
