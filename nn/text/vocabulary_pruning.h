// A tokenizer's files with fewer tokens.
//
// The ids that kept_ids() adds make one promise hold for every model of tokenizer.json: a text that the whole tokenizer
// splits into kept tokens only is split into the same tokens by the pruned one. Why, for each model:
// - WordPiece and WordLevel take the longest entry that fits. It is kept, and a longer one does not come up.
// - BPE keeps every merge whose result is kept, with both parts, and these parts' merges, and so on, in their order. A
//   kept token of a text came about by merges inside its span alone, and all of them are kept. At each step the pruned
//   model has the pair that the whole one chose, and no pair that comes before it.
// - Unigram keeps a piece of the least score, so unknown characters keep their score, which is less than that of any
//   piece. A path of the pruned model is either a path of the whole one, with the same score, or has unknown characters
//   where that has pieces, and so a lower score than a path of the whole one. The best path is still the best. Equal
//   scores are compared in the same order as before.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include <qing/nn/text/folder_files.h>
#include <qing/nn/text/pipeline/pipeline.h>

namespace qing::nn::text {

/// `used` and the ids that the tokenizer in `files`, which `pipeline` was made of, needs beside them, ascending: added
/// tokens, those around a text, the unknown token, byte tokens, and what the comment above says. DataError naming the
/// file.
std::vector<int32_t> kept_ids(const FolderFiles& files, const Pipeline& pipeline, std::set<int32_t> used);

/// The files of a tokenizer whose token i is the one that had the id kept[i]. `kept` are ids of kept_ids(). DataError
/// naming the file.
FolderFiles pruned_files(const FolderFiles& files, const Pipeline& pipeline, std::span<const int32_t> kept);

}  // namespace qing::nn::text
