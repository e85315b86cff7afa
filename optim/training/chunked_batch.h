// Batches of texts in chunks, for data-parallel training.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include <qing/optim/parallel/communicator.h>
#include <qing/optim/training/trainer.h>
#include <qing/tensor/random.h>

namespace qing::optim {

/// The number of chunks of a batch where several ranks train and nothing else is said.
inline constexpr int64_t kDefaultChunks = 8;

/// The number of chunks in which a recipe computes a batch; 0: as a whole. `chunks` is its option, 0 if it is not
/// given. With fast_reduce each rank has one chunk, so that the bits depend on the number of ranks. `ranks` is null for
/// a process alone. ValueError, beginning with the recipe's name, for fewer chunks than ranks, or when both options are
/// given.
int64_t chunks_of_batch(const std::string& recipe, int64_t chunks, bool fast_reduce, const Communicator* ranks);

/// The mean loss of the texts first to last − 1 of a batch. What is drawn from `rng` depends on the chunk alone.
using LossOfTexts = std::function<Tensor(int64_t first, int64_t last, Generator& rng)>;

/// Cuts a batch into chunks of about equal tokens, without dividing a text. `tokens` are the texts' lengths. `weights`
/// are their shares of the batch's loss, in any unit. Takes one number from `rng`. Each call of the result's loss sets
/// `of_chunk`, which must outlive the backward.
ChunkedBatch chunked_batch(std::span<const int64_t> tokens, std::span<const int64_t> weights, int64_t chunks,
                           Generator& rng, Generator& of_chunk, LossOfTexts loss);

}  // namespace qing::optim
