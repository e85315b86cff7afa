// The scores of a Unigram model as the file spells them. Ids depend on the last bit of sums of scores, and readers of
// JSON round differently.
#pragma once

#include <string_view>
#include <vector>

namespace qing::nn::text {

/// How a number becomes a double: the nearest one, as in Python, or that of serde_json, which rounds first the digits
/// and then the power of ten.
enum class Rounding { kNearest, kSerde };

/// The double of a JSON number.
double json_number(std::string_view number, Rounding rounding);

/// The numbers at model.vocab[i][1] of a valid JSON text as it spells them, in order. Some are missing if names are
/// escaped.
std::vector<std::string_view> unigram_score_texts(std::string_view json);
/// Their values.
std::vector<double> unigram_scores(std::string_view json, Rounding rounding);

}  // namespace qing::nn::text
