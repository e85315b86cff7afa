#include <qing/optim/training/chunked_batch.h>

#include <fmt/format.h>

#include <numeric>
#include <utility>
#include <vector>

#include <qing/optim/parallel/chunk_tree.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

// The streams of a chunk's generator begin at a multiple of this.
constexpr int kStreamBits = 32;

int64_t sum_between(std::span<const int64_t> values, int64_t first, int64_t last) {
  return std::accumulate(values.begin() + first, values.begin() + last, int64_t{0});
}

}  // namespace

int64_t chunks_of_batch(const std::string& recipe, int64_t chunks, bool fast_reduce, const Communicator* ranks) {
  if (chunks > 0 && fast_reduce) {
    throw ValueError(recipe + ": chunks and fast_reduce exclude each other; leave one of them out");
  }
  if (ranks == nullptr) return chunks;
  if (fast_reduce) return ranks->size();
  const int64_t all = chunks > 0 ? chunks : kDefaultChunks;
  if (all >= ranks->size()) return all;
  throw ValueError(
      fmt::format("{}: there are {} ranks but {} chunks of a batch; give at least as many chunks as ranks, or start "
                  "fewer ranks",
                  recipe, ranks->size(), all));
}

ChunkedBatch chunked_batch(std::span<const int64_t> tokens, std::span<const int64_t> weights, int64_t chunks,
                           Generator& rng, Generator& of_chunk, LossOfTexts loss) {
  std::vector<int64_t> firsts = cut_into_chunks(tokens, static_cast<int>(chunks));
  const auto whole = static_cast<double>(sum_between(weights, 0, std::ssize(weights)));
  ChunkedBatch batch;
  for (size_t chunk = 0; chunk + 1 < firsts.size(); ++chunk) {
    const auto share = static_cast<double>(sum_between(weights, firsts[chunk], firsts[chunk + 1]));
    batch.chunks.push_back({.cost = sum_between(tokens, firsts[chunk], firsts[chunk + 1]), .weight = share / whole});
  }
  const uint64_t seed = rng.next_u64();
  batch.loss = [firsts = std::move(firsts), seed, &of_chunk, loss = std::move(loss)](int chunk) {
    const auto at = static_cast<size_t>(chunk);
    of_chunk.restore(seed, static_cast<uint64_t>(chunk) << kStreamBits);
    return loss(firsts[at], firsts[at + 1], of_chunk);
  };
  return batch;
}

}  // namespace qing::optim
