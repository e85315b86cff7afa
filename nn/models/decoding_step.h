// One step of the decoder of TranslationModel for hypotheses of many requests. Private to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <qing/nn/models/decoding_cache.h>
#include <qing/nn/models/decoding_search.h>
#include <qing/nn/models/translation_model.h>
#include <qing/nn/models/translation_parts.h>

namespace qing::nn {

/// A request that has begun.
struct DecodingState {
  DecodingState(const DecodingOptions& options, int32_t start_id, int32_t eos_id, DecodingCache memory)
      : search(options, start_id, eos_id), cache(std::move(memory)) {}
  DecodingSearch search;
  DecodingCache cache;
};

/// Caches of the sources, one for each sequence, with room for alignments where `alignments` is not 0.
std::vector<DecodingCache> encoded_caches(const TranslationModel& model, const RaggedBatch& sources,
                                          std::span<const uint8_t> alignments);

/// Hidden states [all live hypotheses, width] for the last tokens of the hypotheses, which get their slots. Threads
/// compute whole requests where that is faster. The bits of a request's rows depend on the request alone.
Tensor decoding_step(const TranslationModel& model, std::span<DecodingState* const> requests);

}  // namespace qing::nn
