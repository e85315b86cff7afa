// What a head of a text classifier predicts.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qing::nn {

enum class Problem : uint8_t {
  single_label,  ///< one of the labels; scores are a softmax
  multi_label,   ///< any number of the labels, or none; each score is a sigmoid by itself
  ordinal,       ///< one of the labels, which have an order, such as stars; scores are a softmax
  regression,    ///< a number
};

/// "single-label", "multi-label", "ordinal", "regression"
std::string_view name_of(Problem problem);
/// The problem that has this name. Nothing for any other text.
std::optional<Problem> problem_named(std::string_view name);

/// What config.json of `transformers` calls it: "single_label_classification", "multi_label_classification" or
/// "regression". An ordinal classifier is of single labels there.
std::string_view problem_type_of(Problem problem);

/// Whether the logits of both become scores in the same way, so that a head for one is one for the other.
bool same_scores(Problem a, Problem b);

/// The number that a text is, with an optional sign, fraction and exponent, and nothing around it. Nothing for any
/// other text, and for infinities and NaN.
std::optional<double> number_of(std::string_view text);

/// The places of ordered labels on their scale: their numbers if all are numbers that ascend, such as 1 to 5, else
/// their ranks from 1.
std::vector<double> places_of(std::span<const std::string> labels);

}  // namespace qing::nn
