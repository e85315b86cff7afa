#include <qing/nn/ragged_batch.h>

#include <algorithm>
#include <numeric>
#include <string>

namespace qing::nn {

RaggedBatch RaggedBatch::of(std::span<const std::span<const int32_t>> sequences) {
  RaggedBatch batch;
  batch.offsets.push_back(0);
  for (const auto& sequence : sequences) {
    if (sequence.empty()) {
      throw ValueError("RaggedBatch: sequence " + std::to_string(batch.sequences()) + " has no tokens");
    }
    batch.offsets.push_back(batch.offsets.back() + static_cast<int64_t>(sequence.size()));
  }
  batch.ids = Tensor::empty({batch.tokens()}, DType::i32);
  batch.positions = Tensor::empty({batch.tokens()}, DType::i32);
  batch.firsts = Tensor::empty({batch.sequences()}, DType::i64);
  for (size_t s = 0; s < sequences.size(); ++s) {
    std::copy(sequences[s].begin(), sequences[s].end(), batch.ids.data<int32_t>() + batch.offsets[s]);
    int32_t* position = batch.positions.data<int32_t>() + batch.offsets[s];
    std::iota(position, position + sequences[s].size(), 0);
    batch.firsts.data<int64_t>()[s] = batch.offsets[s];
  }
  return batch;
}

RaggedBatch RaggedBatch::part(int64_t first, int64_t last) const {
  const int64_t begin = offsets[first], end = offsets[last];
  RaggedBatch some{.ids = ids.slice(0, begin, end),
                   .positions = positions.slice(0, begin, end),
                   .firsts = Tensor::empty({last - first}, DType::i64),
                   .offsets = {}};
  for (int64_t s = first; s <= last; ++s) some.offsets.push_back(offsets[s] - begin);
  std::copy_n(some.offsets.begin(), last - first, some.firsts.data<int64_t>());
  return some;
}

std::vector<int64_t> RaggedBatch::lengths() const {
  std::vector<int64_t> lengths;
  for (int64_t s = 0; s < sequences(); ++s) lengths.push_back(offsets[s + 1] - offsets[s]);
  return lengths;
}

}  // namespace qing::nn
