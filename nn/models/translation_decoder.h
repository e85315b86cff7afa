// Translations token by token: greedy, by beam search or by sampling, for many requests of different progress.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/models/translation_model.h>

namespace qing::nn {

/// When a beam search ends, as `early_stopping` of `transformers` says.
enum class EarlyStopping {
  no,     ///< when no live hypothesis is likely to beat the worst finished one, judged at its present length
  yes,    ///< when beam_size hypotheses have finished
  never,  ///< when no live hypothesis can beat the worst finished one at any length
};

/// Names and meanings are those of `transformers`' GenerationConfig where it has them.
struct DecodingOptions {
  int64_t beam_size = 1;      ///< num_beams; 1: the likeliest token each time, or a drawn one
  int64_t max_tokens = 256;   ///< of a translation, with its end token
  int64_t min_tokens = 0;     ///< before the end token may follow
  double length_penalty = 1;  ///< a finished hypothesis counts Σ log p / tokens^length_penalty
  EarlyStopping early_stopping = EarlyStopping::no;
  int64_t best = 1;  ///< num_return_sequences: how many translations of a beam are returned, best first

  double repetition_penalty = 1;  ///< logits of tokens that a hypothesis has are divided by it, or multiplied below 0
  int64_t no_repeat_ngram_size = 0;      ///< no n-gram of this size occurs twice in a hypothesis; 0: any may
  std::vector<int32_t> suppressed = {};  ///< tokens that never occur
  std::optional<int32_t> forced_bos = std::nullopt;  ///< the token behind the start token
  std::optional<int32_t> forced_eos = std::nullopt;  ///< the token at max_tokens
  bool renormalize = false;  ///< log p is normalised again without the tokens that these rules exclude

  double temperature = 0;  ///< above 0 tokens are drawn, as TokenSampler draws them; needs beam_size 1
  int64_t top_k = 0;
  double top_p = 1;
  uint64_t seed = 0;  ///< of the drawn tokens

  bool alignment = false;  ///< return attention's weights

  /// ValueError naming the option and its range.
  void validate() const;
};

struct DecodingRequest {
  std::vector<int32_t> source;  ///< token ids with the end token
  DecodingOptions options = {};
};

struct DecodedSequence {
  std::vector<int32_t> tokens;  ///< without the start token; the end token, if there is one, is the last
  double score = 0;             ///< Σ log p / tokens^length_penalty
  /// f32 [tokens, source tokens]: how much each token looked at each of the source's, the mean over the heads of the
  /// last layer's attention to the source; rows sum to 1. Undefined unless asked for.
  Tensor alignment;
  bool ended = false;  ///< by an end token, not by max_tokens
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
