// Extended grapheme clusters (UAX #29 of Unicode 17), by which `tokenizers` cuts a text before it looks up
// SentencePiece's precompiled table.
#pragma once

#include <cstddef>

#include <qing/nn/text/pipeline/aligned_text.h>

namespace qing::nn::text {

/// The end of the cluster that begins at text[begin]; begin < text.size(). Thread-safe.
size_t grapheme_end(const Chars& text, size_t begin);

}  // namespace qing::nn::text
