// Batches of pairs of token ids from a safetensors file. The benchmark of training and a tool of the tests read them.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/translation_model.h>

namespace qing::benchmark {

/// The sequences of a tensor of ids, which end at the places that the tensor NAME_offsets gives. They refer to `file`.
inline std::vector<std::span<const int32_t>> sequences(const nn::SafetensorsFile& file, const std::string& name) {
  const auto ids = file.tensors.at(name).span<int32_t>();
  const auto offsets = file.tensors.at(name + "_offsets").span<int64_t>();
  std::vector<std::span<const int32_t>> all;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    all.push_back(ids.subspan(static_cast<size_t>(offsets[s]), static_cast<size_t>(offsets[s + 1] - offsets[s])));
  }
  return all;
}

/// The batches of a file, for a model whose targets begin with `start_id`. Batch I has the ids of its sources in the
/// tensor source_I, and those of its targets with their end tokens in target_I.
inline std::vector<nn::TranslationBatch> translation_batches(const nn::SafetensorsFile& file, int32_t start_id) {
  std::vector<nn::TranslationBatch> batches;
  for (size_t i = 0; file.tensors.contains(fmt::format("source_{}", i)); ++i) {
    batches.push_back(nn::TranslationBatch::of(sequences(file, fmt::format("source_{}", i)),
                                               sequences(file, fmt::format("target_{}", i)), start_id));
  }
  return batches;
}

}  // namespace qing::benchmark
