#include <qing/nn/models/decoding_cache.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace qing::nn {
namespace {

constexpr int64_t kFirstSlots = 16;

}  // namespace

DecodingCache::DecodingCache(std::vector<Tensor> memory_rows, bool alignment)
    : memory_(std::move(memory_rows)), aligned_(alignment) {}

void DecodingCache::reserve(int64_t slots) {
  if (slots <= capacity_) return;
  const int64_t capacity = std::max({slots, kFirstSlots, 2 * capacity_});
  const Tensor rows = Tensor::empty({layers(), capacity, row_elements()});
  if (capacity_ > 0) rows.slice(1, 0, capacity_).copy_from(rows_);
  rows_ = rows;
  if (aligned_) {
    const Tensor weights = Tensor::empty({capacity, source_tokens()});
    if (capacity_ > 0) weights.slice(0, 0, capacity_).copy_from(alignment_);
    alignment_ = weights;
  }
  capacity_ = capacity;
}

size_t DecodingCache::bytes() const {
  size_t sum = rows_.defined() ? rows_.storage_bytes() : 0;
  if (alignment_.defined()) sum += alignment_.storage_bytes();
  for (const Tensor& layer : memory_) sum += layer.storage_bytes();
  return sum;
}

std::vector<float> slot_scores(std::span<const Hypothesis> hypotheses, int64_t slots, const Tensor& relative_bias) {
  if (!relative_bias.defined() && hypotheses.size() == 1 && std::ssize(hypotheses[0].slots) == slots) return {};
  const int64_t heads = relative_bias.defined() ? relative_bias.size(0) : 1, count = std::ssize(hypotheses);
  std::vector<float> scores(static_cast<size_t>(heads * count * slots), -std::numeric_limits<float>::infinity());
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t i = 0; i < count; ++i) {
      const std::vector<int32_t>& path = hypotheses[static_cast<size_t>(i)].slots;
      float* const row = scores.data() + (h * count + i) * slots;
      // The query stands at the last slot of the path.
      const float* bias = nullptr;
      if (relative_bias.defined()) {
        const int64_t reach = (relative_bias.size(1) + 1) / 2;
        bias = relative_bias.data<float>() + h * relative_bias.size(1) + reach - std::ssize(path);
      }
      for (size_t p = 0; p < path.size(); ++p) row[path[p]] = bias != nullptr ? bias[p] : 0;
    }
  }
  return scores;
}

}  // namespace qing::nn
