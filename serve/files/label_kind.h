// What the labels of a file seem to be.
#pragma once

#include <filesystem>

#include <qing/nn/data/labelled_rows.h>
#include <qing/nn/problem.h>

namespace qing::serve {

/// How to read the rows of a file whose kind nobody has named, by its first 10,000 rows, and the kind: single_label,
/// multi_label for rows of several labels, or regression for numbers with fractions or with more different values than
/// a classifier has labels. Ordered labels look like single ones. A file that cannot be read is one of single labels:
/// reading it says what is wrong. IoError.
nn::RowOptions look_at_labels(const std::filesystem::path& file, nn::Problem& problem);

}  // namespace qing::serve
