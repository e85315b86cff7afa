// Collate functions make the tensors of a batch from its examples.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <qing/nn/ragged_batch.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

/// Stacks n tensors [...] to [n, ...] along a new first dimension, without recording a gradient. ShapeError without
/// tensors or when shapes differ, DTypeError when dtypes differ.
Tensor stack_examples(std::span<const Tensor> tensors);

/// Like torch.utils.data.default_collate: tensors are stacked, numbers become a tensor [n] of their type, and pairs and
/// lists of tensors are collated member by member. ShapeError for lists of different lengths.
struct DefaultCollate {
  Tensor operator()(const std::vector<Tensor>& tensors) const { return stack_examples(tensors); }
  std::vector<Tensor> operator()(const std::vector<std::vector<Tensor>>& lists) const;
  template <class T>
  requires std::integral<T> || std::floating_point<T> Tensor operator()(const std::vector<T>& numbers) const {
    Tensor collated = Tensor::empty({static_cast<int64_t>(numbers.size())}, dtype_of<T>);
    std::copy(numbers.begin(), numbers.end(), collated.data<T>());
    return collated;
  }
  template <class A, class B> auto operator()(const std::vector<std::pair<A, B>>& pairs) const {
    std::vector<A> firsts;
    std::vector<B> seconds;
    for (const auto& [first, second] : pairs) {
      firsts.push_back(first);
      seconds.push_back(second);
    }
    return std::pair((*this)(firsts), (*this)(seconds));
  }
};
inline constexpr DefaultCollate default_collate{};

/// A text as ids with the index of its label.
struct LabelledIds {
  std::vector<int32_t> ids;
  int32_t label;
};

struct LabelledBatch {
  RaggedBatch sequences;
  Tensor labels;  ///< i32 [sequences]
};

/// Joins the ids end to end. ValueError when a sequence is empty.
RaggedBatch collate_ragged(std::span<const std::vector<int32_t>> sequences);
LabelledBatch collate_labelled(std::span<const LabelledIds> texts);

struct PaddedBatch {
  Tensor ids;      ///< i32 [sequences, longest]
  Tensor lengths;  ///< i64 [sequences]
};

/// Pads sequences at their ends to the length of the longest, for layers without support for ragged batches.
PaddedBatch collate_padded(std::span<const std::vector<int32_t>> sequences, int32_t padding = 0);

}  // namespace qing::nn
