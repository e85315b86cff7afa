// The reduction of lanes, chunk by chunk. One long lane, too, uses several threads. Private to this folder.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include <qing/tensor/ops/lanes.h>

namespace qing {

/// Elements that are reduced at a time: the unit of parallelism within a lane.
inline constexpr int64_t kReductionChunk = 16384;

/// Reduces every lane: out[lane] = join(n, parts), where the parts are part(lane, n, chunk) for the lane's chunks in
/// order. n ≥ 1, except for an empty lane: then part is called once with n = 0.
template <class T, class Acc, class Part, class Join>
void reduce_lanes(const Tensor& x, const std::vector<int64_t>& dims, Acc* out, Part part, Join join) {
  const Lanes lanes(x.layout(), dims, LaneOrder::storage);
  const int64_t length = lanes.length();
  const int64_t chunks = std::max<int64_t>(1, (length + kReductionChunk - 1) / kReductionChunk);
  const auto chunk_of = [&](int64_t lane, const T* data, int64_t c) {
    const int64_t first = c * kReductionChunk;
    return part(lane, std::min(kReductionChunk, length - first), data + first);
  };
  if (!lanes.dense()) {
    parallel_for(lanes.count(), lanes.tile(), [&](int64_t begin, int64_t end) {
      LaneReader<T> in(x, lanes);
      const auto parts = std::make_unique<Acc[]>(chunks);
      for (int64_t lane = begin; lane < end; ++lane) {
        const T* data = in.at(lane);
        for (int64_t c = 0; c < chunks; ++c) parts[c] = chunk_of(lane, data, c);
        out[lane] = join(chunks, parts.get());
      }
    });
    return;
  }
  const T* data = x.data<T>();
  const auto parts = std::make_unique<Acc[]>(lanes.count() * chunks);
  const int64_t grain = std::max<int64_t>(1, kReductionChunk / std::clamp<int64_t>(length, 1, kReductionChunk));
  parallel_for(lanes.count() * chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t lane = task / chunks;
      parts[task] = chunk_of(lane, data + lanes.position(lane), task % chunks);
    }
  });
  for (int64_t lane = 0; lane < lanes.count(); ++lane) out[lane] = join(chunks, parts.get() + lane * chunks);
}

/// Σ f(i) for i < n in double, in eight interleaved chains. The error is less than with one chain, and no addition
/// waits for the one before.
template <class F> double sum_in_chains(int64_t n, F f) {
  constexpr int64_t kChains = 8;
  double chains[kChains] = {};
  int64_t i = 0;
  for (; i + kChains <= n; i += kChains) {
    for (int64_t c = 0; c < kChains; ++c) chains[c] += f(i + c);
  }
  for (int64_t c = 0; i < n; ++i, ++c) chains[c] += f(i);
  for (int64_t half = kChains / 2; half > 0; half /= 2) {
    for (int64_t c = 0; c < half; ++c) chains[c] += chains[c + half];
  }
  return chains[0];
}

inline double sum_parts(int64_t n, const double* parts) {
  return sum_in_chains(n, [parts](int64_t i) { return parts[i]; });
}

}  // namespace qing
