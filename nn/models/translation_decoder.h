// Translations token by token: greedy, by beam search or by sampling, for many requests of different progress.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/models/decoding_options.h>
#include <qing/nn/models/translation_model.h>

namespace qing::nn {

struct DecodingRequest {
  std::vector<int32_t> source;  ///< token ids with the end token
  DecodingOptions options = {};
};

struct DecodingResult {
  int64_t id = 0;
  std::vector<DecodedSequence> sequences;  ///< best first
  std::string error = {};                  ///< why there are no sequences (logits that are not finite), else empty
};

/// Requests join and leave between steps. Each owns its keys and values: those of its source are computed once for all
/// of its hypotheses, and hypotheses share those of their common beginning. A request's result depends on it alone, to
/// the bit: not on others, on when it joins, or on threads. Not thread-safe; the model may be shared.
class TranslationDecoder {
 public:
  /// The model must outlive the decoder and stay in evaluation mode. Pack it first (pack_for_inference()).
  explicit TranslationDecoder(const TranslationModel& model);
  ~TranslationDecoder();
  TranslationDecoder(TranslationDecoder&&) noexcept;
  TranslationDecoder& operator=(TranslationDecoder&&) noexcept;

  /// Takes a request, which the next step() begins. Returns its number, one above that of the request before.
  /// ValueError for options out of their range and for a source that is empty or longer than the model takes,
  /// IndexError for ids outside the vocabulary.
  int64_t add(DecodingRequest request);
  /// Removes a request without a result and frees its memory; false when there is none of this number.
  bool cancel(int64_t id);
  /// Encodes the sources of new requests and computes one token of every live hypothesis. Nothing without requests.
  void step();
  /// The results of requests that have ended since the last call, in the order of their ends.
  std::vector<DecodingResult> finished();
  /// The tokens of a live request so far: those of its likeliest live hypothesis, which a beam may still give up.
  /// Empty for an unknown number.
  std::vector<int32_t> progress(int64_t id) const;
  int64_t requests() const;    ///< that have no result yet
  int64_t hypotheses() const;  ///< rows that the next step computes, of requests that have begun
  size_t bytes() const;        ///< of keys and values

 private:
  class Session;
  std::unique_ptr<Session> session_;
};

/// The results of all requests in order, computed with at most `max_rows` live hypotheses at a time (0: all at once).
/// Requests of long sources begin first. Errors as TranslationDecoder's.
std::vector<DecodingResult> decode(const TranslationModel& model, std::span<const DecodingRequest> requests,
                                   int64_t max_rows = 0);

}  // namespace qing::nn
