// The rule for names of labels, which are keys in answers, metrics and tables.
#pragma once

#include <span>
#include <string>

namespace qing::nn {

/// Checks that every label can be distinguished by its name. ValueError "labels: what", with the index of the label,
/// unless each name is valid UTF-8, is not blank, has no control character (tabs and line breaks separate tables) and
/// occurs once.
void check_label_names(std::span<const std::string> labels);

}  // namespace qing::nn
