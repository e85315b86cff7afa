// Computing a batch in parts.
#pragma once

#include <functional>

#include <qing/nn/ragged_batch.h>

namespace qing::nn {

/// Returns run(batch), computed in parts: the rows of all run(part), one below the other. A row of a result of `run`
/// must depend on the row's own sequence alone. A part is a range of sequences. A thread computes whole parts: it waits
/// for no other thread, and a part's values stay in its caches. Falls back to run(batch) for a single sequence, for
/// sequences too unequal to share among the threads, for fewer than 16 tokens a thread, while gradients are enabled,
/// and under an AutocastGuard. Several threads call `run` at once; each call has no gradients and one thread.
Tensor in_parts(const RaggedBatch& batch, const std::function<Tensor(const RaggedBatch& part)>& run);

}  // namespace qing::nn
