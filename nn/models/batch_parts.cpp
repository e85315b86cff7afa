#include <qing/nn/models/batch_parts.h>

#include <algorithm>
#include <vector>

#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/joining.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

// Tokens of a part. Their values fit L2, and weights from L3 are read once for so many of them.
constexpr int64_t kPartTokens = 256;
// The fewest tokens for each thread. Every thread reads all weights, which costs more than waiting for other threads
// when its tokens do not fill a strip of the products.
constexpr int64_t kFewestTokens = 16;
// The most tokens of a thread over those of an equal share.
constexpr double kMostUnequal = 1.4;

// Where parts begin, and the end: sequences. Parts have nearly equal numbers of tokens, and at least one sequence.
std::vector<int64_t> part_bounds(const RaggedBatch& batch, int64_t parts) {
  std::vector<int64_t> bounds{0};
  for (int64_t p = 1; p < parts; ++p) {
    const int64_t wanted = batch.tokens() * p / parts;
    const auto after = std::ranges::lower_bound(batch.offsets, wanted);
    int64_t s = after - batch.offsets.begin();
    if (s > 0 && wanted - batch.offsets[s - 1] < batch.offsets[s] - wanted) --s;
    if (s > bounds.back() && s < batch.sequences()) bounds.push_back(s);
  }
  bounds.push_back(batch.sequences());
  return bounds;
}

// Tokens of the busiest thread, as parallel_for() divides parts.
int64_t largest_share(const RaggedBatch& batch, const std::vector<int64_t>& bounds, int64_t threads) {
  const int64_t parts = std::ssize(bounds) - 1;
  int64_t most = 0;
  for (int64_t t = 0; t < threads; ++t) {
    const int64_t begin = bounds[parts * t / threads], end = bounds[parts * (t + 1) / threads];
    most = std::max(most, batch.offsets[end] - batch.offsets[begin]);
  }
  return most;
}

}  // namespace

Tensor in_parts(const RaggedBatch& batch, const std::function<Tensor(const RaggedBatch& part)>& run) {
  if (batch.sequences() < 2 || grad_enabled() || autocast_dtype() != DType::f32) return run(batch);
  const int64_t threads = num_threads();
  if (batch.tokens() < kFewestTokens * threads) return run(batch);
  const int64_t rounds = (batch.tokens() + kPartTokens * threads - 1) / (kPartTokens * threads);
  const std::vector<int64_t> bounds = part_bounds(batch, rounds * threads);
  const int64_t parts = std::ssize(bounds) - 1;
  const double equal = static_cast<double>(batch.tokens()) / static_cast<double>(threads);
  if (parts == 1 || static_cast<double>(largest_share(batch, bounds, threads)) > kMostUnequal * equal)
    return run(batch);
  std::vector<Tensor> rows(static_cast<size_t>(parts));
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    const NoGradGuard guard;
    const ThreadLimit alone(1);
    for (int64_t p = begin; p < end; ++p) rows[p] = run(batch.part(bounds[p], bounds[p + 1]));
  });
  return cat(rows);
}

}  // namespace qing::nn
