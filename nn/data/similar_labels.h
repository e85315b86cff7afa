// Labels of files that are two by their names, and probably one by their meaning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/problem.h>

namespace qing::nn {

/// The place of the label that a row names: the one of this name, and of ordered labels also one that is the same
/// number, as 1.0 is 1. Nothing without one.
std::optional<size_t> place_of_label(std::span<const std::string> labels, const std::string& name, Problem problem);

/// Rows by label, where labels that are the same number are one, with the shortest of their names.
std::map<std::string, int64_t> join_equal_numbers(const std::map<std::string, int64_t>& counts);

/// A sentence for each label of single-label data that is probably another one's: the same number, as 1 and 1.0, the
/// same letters in another case or with other blanks, and what programs write for a missing value, as nan. It has the
/// numbers of rows and the --map that joins them. `counts` are rows by label.
std::vector<std::string> doubtful_labels(const std::map<std::string, int64_t>& counts);

}  // namespace qing::nn
