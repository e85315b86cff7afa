// A dev set that is held out of the training data.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include <qing/serve/runs/data_files.h>

namespace qing::serve::cli {

/// Below this number of texts a dev set would be too small to compare models, so that none is held out unasked.
inline constexpr size_t kLeastTextsToHold = 200;

/// Moves about this share of the texts into a dev set, chosen by nn::held_by_hash(): the same texts in every run and
/// order, and equal texts on the same side. A label all of whose texts would be held out keeps them. Nothing when no
/// text is held out. ValueError unless the share is in [0, 1].
std::optional<LabelledFile> hold_out(std::span<LabelledFile> files, double share);

}  // namespace qing::serve::cli
