#include <qing/autograd/ops/attention_detail.h>

#include <cmath>

#include <qing/tensor/dispatch.h>

namespace qing {
namespace {

using kernels::kKeyTile;
using kernels::kQueryTile;

// The 16 bits that decide about weight `index` of a tile. The kernels draw blocks of 16 counters. A block has the first
// words of all counters, then all second words, and so on. Each word gives two numbers, the lower half first.
uint32_t bits_of(const kernels::WeightDropout& dropout, uint64_t tile, int64_t index) {
  const auto in_block = static_cast<uint64_t>(index % 128), block = static_cast<uint64_t>(index / 128);
  const uint64_t counter = tile * (kKeyTile * kQueryTile / 8) + block * 16 + in_block % 32 / 2;
  const auto low = [](uint64_t x) { return static_cast<uint32_t>(x); };
  const auto high = [](uint64_t x) { return static_cast<uint32_t>(x >> 32); };
  const uint32_t word = philox4x32({low(counter), high(counter), low(dropout.stream), high(dropout.stream)},
                                   {low(dropout.seed), high(dropout.seed)})[in_block / 32];
  return in_block % 2 == 0 ? word & 0xFFFF : word >> 16;
}

}  // namespace

AttentionDropout::AttentionDropout(double p, Generator* rng) {
  if (rng == nullptr || p <= 0) return;
  weights = {.seed = rng->seed(),
             .stream = rng->next_stream(),
             .threshold = static_cast<uint32_t>(std::min(std::round(p * 65536), 65535.0))};
  factor = 65536.0 / (65536 - weights.threshold);
}

kernels::WeightDropout AttentionDropout::from_tile(int64_t first) const {
  kernels::WeightDropout shifted = weights;
  shifted.first_tile = static_cast<uint64_t>(first);
  return shifted;
}

Tensor AttentionDropout::factors(int64_t first_tile, int64_t heads, int64_t queries, int64_t keys, DType dtype) const {
  Tensor kept = Tensor::empty({heads, queries, keys}, dtype);
  const int64_t rows_of_tiles = (queries + kQueryTile - 1) / kQueryTile, tiles = attention_tiles(queries, keys);
  dispatch_floating(dtype, "attention", [&](auto zero) {
    using T = decltype(zero);
    T* out = kept.data<T>();
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t i = 0; i < queries; ++i) {
        for (int64_t j = 0; j < keys; ++j, ++out) {
          const int64_t key = j / kKeyTile * kKeyTile, width = std::min(kKeyTile, keys - key);
          const int64_t tile = first_tile + h * tiles + j / kKeyTile * rows_of_tiles + i / kQueryTile;
          const uint32_t bits = bits_of(weights, static_cast<uint64_t>(tile), i % kQueryTile * width + j - key);
          *out = bits >= weights.threshold ? static_cast<T>(factor) : T(0);
        }
      }
    }
  });
  return kept;
}

AttentionTargets::AttentionTargets(GradSink& grad) {
  for (const size_t i : {1, 2, 0}) {
    if (grad.needs(i)) targets_[i] = grad.target(i);
  }
  const auto shared = [&](size_t i) {
    return defined(0) && defined(i) && targets_[0].tensor.shares_storage(targets_[i].tensor);
  };
  if (!shared(1) && !shared(2)) return;
  targets_[0] = {Tensor::empty(targets_[0].tensor.shape(), targets_[0].tensor.dtype()), false};
  apart_ = true;
}

}  // namespace qing
