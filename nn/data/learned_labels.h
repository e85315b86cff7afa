// The labels that files of labelled texts hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>

namespace qing::nn {

/// Most different labels that are learned from files. More are rather the texts of a wrong column.
inline constexpr size_t kMostLearnedLabels = 1000;

/// How many rows each label of the files has, by the names of options.map; options.labels does not count. A
/// row of a multi-label data set counts for each of its labels, and columns of one label each that no row has count 0.
/// LineError for
/// a row that cannot be used, unless options.on_bad_row takes it, and for the row whose label is one more than
/// kMostLearnedLabels.
std::map<std::string, int64_t> learn_labels(std::span<const std::filesystem::path> files,
                                            const DatasetOptions& options);

/// The labels of the columns of one label each that the files have, in the order of the columns and of the files, by
/// the names of options.map. Empty without such columns. Errors are those of LabelledRowReader.
std::vector<std::string> labels_of_columns(std::span<const std::filesystem::path> files, const DatasetOptions& options);

/// The labels by value when all of them are whole numbers, else in the order of their bytes. So negative, neutral and
/// positive keep their usual order.
std::vector<std::string> in_order(const std::map<std::string, int64_t>& counts);

}  // namespace qing::nn
