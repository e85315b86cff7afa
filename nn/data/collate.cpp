#include <qing/nn/data/collate.h>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing::nn {

Tensor stack_examples(std::span<const Tensor> tensors) {
  if (tensors.empty()) throw ShapeError("stack_examples: there are no tensors to stack");
  Shape shape = tensors[0].shape();
  shape.insert(shape.begin(), static_cast<int64_t>(tensors.size()));
  Tensor stacked = Tensor::empty(shape, tensors[0].dtype());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].shape() != tensors[0].shape()) {
      throw ShapeError(fmt::format("stack_examples: example {} of the batch is {}, the first one {}; pad or crop them",
                                   i, to_string(tensors[i].shape()), to_string(tensors[0].shape())));
    }
    if (tensors[i].dtype() != tensors[0].dtype()) {
      throw DTypeError(
          fmt::format("stack_examples: example {} of the batch is {}, the first one {}; convert with "
                      "Tensor::to",
                      i, name_of(tensors[i].dtype()), name_of(tensors[0].dtype())));
    }
    stacked.select(0, static_cast<int64_t>(i)).copy_from(tensors[i]);
  }
  return stacked;
}

std::vector<Tensor> DefaultCollate::operator()(const std::vector<std::vector<Tensor>>& lists) const {
  std::vector<Tensor> collated;
  for (size_t member = 0; !lists.empty() && member < lists[0].size(); ++member) {
    std::vector<Tensor> tensors;
    for (const auto& list : lists) {
      if (list.size() != lists[0].size()) {
        throw ShapeError(
            fmt::format("default_collate: examples of {} and of {} tensors", lists[0].size(), list.size()));
      }
      tensors.push_back(list[member]);
    }
    collated.push_back(stack_examples(tensors));
  }
  return collated;
}

RaggedBatch collate_ragged(std::span<const std::vector<int32_t>> sequences) {
  const std::vector<std::span<const int32_t>> spans(sequences.begin(), sequences.end());
  return RaggedBatch::of(spans);
}

LabelledBatch collate_labelled(std::span<const LabelledIds> texts) {
  std::vector<std::span<const int32_t>> spans;
  std::vector<int32_t> labels;
  for (const LabelledIds& text : texts) {
    spans.emplace_back(text.ids);
    labels.push_back(text.label);
  }
  return {RaggedBatch::of(spans), default_collate(labels)};
}

PaddedBatch collate_padded(std::span<const std::vector<int32_t>> sequences, int32_t padding) {
  size_t longest = 0;
  for (const auto& sequence : sequences) longest = std::max(longest, sequence.size());
  const auto rows = static_cast<int64_t>(sequences.size());
  PaddedBatch batch{Tensor::full({rows, static_cast<int64_t>(longest)}, padding, DType::i32),
                    Tensor::empty({rows}, DType::i64)};
  for (size_t i = 0; i < sequences.size(); ++i) {
    std::copy(sequences[i].begin(), sequences[i].end(), batch.ids.data<int32_t>() + i * longest);
    batch.lengths.data<int64_t>()[i] = static_cast<int64_t>(sequences[i].size());
  }
  return batch;
}

}  // namespace qing::nn
