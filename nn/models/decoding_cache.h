// Keys and values of one request. Private to this folder.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <qing/nn/models/decoding_search.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

/// The rows of self-attention, [2·width] each, in slots that hypotheses share; those of the source, which all
/// hypotheses see; and the weights of attention to the source, if asked for.
class DecodingCache {
 public:
  /// memory_rows: of each layer, [source tokens, 2·width], which become this cache's own.
  DecodingCache(std::vector<Tensor> memory_rows, bool alignment);

  /// Makes room for so many slots.
  void reserve(int64_t slots);
  float* row(int64_t layer, int64_t slot) const {
    return rows_.data<float>() + (layer * capacity_ + slot) * row_elements();
  }
  const float* memory(size_t layer) const { return memory_[layer].data<float>(); }
  int64_t source_tokens() const { return memory_.front().size(0); }
  float* alignment(int64_t slot) const { return alignment_.data<float>() + slot * source_tokens(); }
  const float* alignment() const { return alignment_.defined() ? alignment_.data<float>() : nullptr; }
  size_t bytes() const;

 private:
  int64_t layers() const { return static_cast<int64_t>(memory_.size()); }
  int64_t row_elements() const { return memory_.front().size(1); }

  std::vector<Tensor> memory_;
  Tensor rows_;       // [layers, capacity, 2·width]
  Tensor alignment_;  // [capacity, source tokens]
  bool aligned_;
  int64_t capacity_ = 0;
};

/// What a step adds to the scores of a request's hypotheses, [heads or 1][hypotheses, slots]: −∞ where a slot is not of
/// the hypothesis, else the bias of the slot's position if there is one. Empty when every hypothesis sees every slot
/// and there is no bias. relative_bias is that of TranslationStack, reaching all positions, or undefined.
std::vector<float> slot_scores(std::span<const Hypothesis> hypotheses, int64_t slots, const Tensor& relative_bias);

}  // namespace qing::nn
