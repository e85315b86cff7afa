// The search for the translations of one request. Private to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/models/decoding_options.h>
#include <qing/nn/models/decoding_scores.h>
#include <qing/nn/models/sampling.h>

namespace qing::nn {

/// A translation that is being written. Its keys and values lie in slots of its request's cache, one for each token
/// that the model has seen. Hypotheses with a common beginning have its slots in common.
struct Hypothesis {
  std::vector<int32_t> tokens;  ///< the start token and those behind it
  std::vector<int32_t> slots;   ///< of all tokens but the last
  double score = 0;             ///< Σ log p
};

/// Chooses tokens by logits: knows the hypotheses and which slots they need, but no model. A function of the options
/// and of the logits alone.
class DecodingSearch {
 public:
  /// Options have been validated; ids lie in the vocabulary.
  DecodingSearch(const DecodingOptions& options, int32_t start_id, int32_t eos_id);

  /// The hypotheses whose last token the model has not seen; none when the search has ended.
  std::span<const Hypothesis> live() const { return live_; }
  /// Gives each live hypothesis a free slot for its last token, the lowest ones first.
  void take_slots();
  int64_t slots() const { return static_cast<int64_t>(used_.size()); }  ///< one above the highest in use
  /// Chooses the tokens behind the live hypotheses, whose logits are the rows of [live, vocabulary], which it
  /// overwrites. With `alignment` [slots, source tokens], it is read for the hypotheses that end.
  void choose(float* logits, int64_t vocabulary, const float* alignment, int64_t source_tokens);
  bool ended() const { return live_.empty(); }
  /// The results, best first, after the end.
  std::vector<DecodedSequence> results();
  const std::string& error() const { return error_; }  ///< Why there are no results.
  /// The tokens of the likeliest live hypothesis, without the start token.
  std::vector<int32_t> progress() const;

 private:
  struct Candidate {
    double score;
    size_t parent;
    int32_t token;
  };
  void choose_one(std::span<float> logits, const float* alignment, int64_t source_tokens);
  void choose_beam(float* logits, int64_t vocabulary, const float* alignment, int64_t source_tokens);
  std::vector<Candidate> candidates(float* logits, int64_t vocabulary);
  std::optional<double> normalizer_of(std::span<float> logits, const Hypothesis& hypothesis);
  void finish(const Candidate& candidate, const float* alignment, int64_t source_tokens);
  bool may_improve() const;
  double normalized(double score, int64_t tokens) const;
  void fail(const char* why);
  void free_slots();

  DecodingOptions options_;
  int32_t eos_id_;
  Generator rng_;
  std::vector<Hypothesis> live_;
  std::vector<bool> used_;
  std::vector<DecodedSequence> finished_;  // at most beam_size, best first
  std::string error_;
};

}  // namespace qing::nn
