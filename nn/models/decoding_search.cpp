// The beam search is that of `transformers` 5.23 (generation/utils.py, _beam_search): twice as many candidates as
// beams, of which those that end are kept apart, and its rules for when no better translation is expected.
#include <qing/nn/models/decoding_search.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace qing::nn {

DecodingSearch::DecodingSearch(const DecodingOptions& options, int32_t start_id, int32_t eos_id)
    : options_(options), eos_id_(eos_id), rng_(options.seed) {
  live_.push_back({.tokens = {start_id}, .slots = {}});
}

void DecodingSearch::take_slots() {
  size_t next = 0;
  for (Hypothesis& hypothesis : live_) {
    while (next < used_.size() && used_[next]) ++next;
    if (next == used_.size()) used_.push_back(false);
    used_[next] = true;
    hypothesis.slots.push_back(static_cast<int32_t>(next));
  }
}

void DecodingSearch::free_slots() {
  used_.assign(used_.size(), false);
  for (const Hypothesis& hypothesis : live_) {
    for (const int32_t slot : hypothesis.slots) used_[static_cast<size_t>(slot)] = true;
  }
  while (!used_.empty() && !used_.back()) used_.pop_back();
}

double DecodingSearch::normalized(double score, int64_t tokens) const {
  return score / std::pow(static_cast<double>(tokens), options_.length_penalty);
}

void DecodingSearch::fail(const char* why) {
  error_ = why;
  live_.clear();
  finished_.clear();
}

// Applies the rules to a row. Returns what log-probabilities are less than the row's elements by.
std::optional<double> DecodingSearch::normalizer_of(std::span<float> logits, const Hypothesis& hypothesis) {
  const double normalizer = log_sum_exp(logits);
  if (!std::isfinite(normalizer)) {
    fail("the logits hold NaN or have no finite maximum; the model's weights have overflowed");
    return std::nullopt;
  }
  apply_rules(options_, eos_id_, hypothesis.tokens, normalizer, logits);
  return options_.renormalize ? log_sum_exp(logits) : normalizer;
}

void DecodingSearch::finish(const Candidate& candidate, const float* alignment, int64_t source_tokens) {
  const Hypothesis& parent = live_[candidate.parent];
  DecodedSequence done;
  done.tokens.assign(parent.tokens.begin() + 1, parent.tokens.end());
  done.tokens.push_back(candidate.token);
  done.score = normalized(candidate.score, std::ssize(done.tokens));
  done.ended = candidate.token == eos_id_;
  const auto worse = [&](const DecodedSequence& other) { return other.score < done.score; };
  const auto place = std::ranges::find_if(finished_, worse);
  if (place == finished_.end() && std::ssize(finished_) >= options_.beam_size) return;
  if (alignment != nullptr) {
    done.alignment = Tensor::empty({std::ssize(parent.slots), source_tokens});
    float* row = done.alignment.data<float>();
    for (const int32_t slot : parent.slots) {
      std::memcpy(row, alignment + slot * source_tokens, sizeof(float) * static_cast<size_t>(source_tokens));
      row += source_tokens;
    }
  }
  finished_.insert(place, std::move(done));
  if (std::ssize(finished_) > options_.beam_size) finished_.pop_back();
}

void DecodingSearch::choose(float* logits, int64_t vocabulary, const float* alignment, int64_t source_tokens) {
  if (options_.beam_size == 1) {
    choose_one({logits, static_cast<size_t>(vocabulary)}, alignment, source_tokens);
  } else {
    choose_beam(logits, vocabulary, alignment, source_tokens);
  }
  free_slots();
}

void DecodingSearch::choose_one(std::span<float> logits, const float* alignment, int64_t source_tokens) {
  Hypothesis& hypothesis = live_.front();
  const std::optional<double> normalizer = normalizer_of(logits, hypothesis);
  if (!normalizer) return;
  std::vector<ScoredToken> best;
  largest_elements(logits, 1, best);
  if (best.empty()) return fail("the rules exclude every token");
  if (options_.temperature > 0) {
    const TokenSampler sampler({.temperature = options_.temperature, .top_k = options_.top_k, .top_p = options_.top_p},
                               &rng_);
    const Tensor row = Tensor::from<float>(logits, {1, std::ssize(logits)});
    best[0].token = static_cast<int32_t>(sampler.draw(row).item());
    best[0].value = logits[static_cast<size_t>(best[0].token)];
  }
  const Candidate next{hypothesis.score + static_cast<double>(best[0].value) - *normalizer, 0, best[0].token};
  if (next.token == eos_id_ || std::ssize(hypothesis.tokens) == options_.max_tokens) {
    finish(next, alignment, source_tokens);
    live_.clear();
    return;
  }
  hypothesis.tokens.push_back(next.token);
  hypothesis.score = next.score;
}

// The likeliest continuations of all hypotheses, best first.
std::vector<DecodingSearch::Candidate> DecodingSearch::candidates(float* logits, int64_t vocabulary) {
  const int64_t wanted = 2 * options_.beam_size;
  std::vector<Candidate> all;
  std::vector<ScoredToken> best;
  for (size_t h = 0; h < live_.size(); ++h) {
    const std::span<float> row(logits + static_cast<int64_t>(h) * vocabulary, static_cast<size_t>(vocabulary));
    const std::optional<double> normalizer = normalizer_of(row, live_[h]);
    if (!normalizer) return {};
    largest_elements(row, wanted, best);
    for (const ScoredToken& each : best) {
      all.push_back({live_[h].score + (static_cast<double>(each.value) - *normalizer), h, each.token});
    }
  }
  // Equal scores keep the order of hypotheses and tokens.
  std::ranges::stable_sort(all, [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  if (std::ssize(all) > wanted) all.resize(static_cast<size_t>(wanted));
  return all;
}

// Whether a live hypothesis may become better than the worst finished one, by transformers' estimate.
bool DecodingSearch::may_improve() const {
  if (std::ssize(finished_) < options_.beam_size) return true;
  if (options_.early_stopping == EarlyStopping::yes) return false;
  const bool at_longest = options_.early_stopping == EarlyStopping::never && options_.length_penalty > 0;
  const int64_t tokens = at_longest ? options_.max_tokens : std::ssize(live_.front().tokens) - 1;
  return normalized(live_.front().score, tokens) > finished_.back().score;
}

void DecodingSearch::choose_beam(float* logits, int64_t vocabulary, const float* alignment, int64_t source_tokens) {
  const std::vector<Candidate> best = candidates(logits, vocabulary);
  if (!error_.empty()) return;
  std::vector<Hypothesis> next;
  for (size_t i = 0; i < best.size(); ++i) {
    const Candidate& candidate = best[i];
    const Hypothesis& parent = live_[candidate.parent];
    if (candidate.token == eos_id_ || std::ssize(parent.tokens) == options_.max_tokens) {
      // The others are there so that enough hypotheses remain.
      if (std::cmp_less(i, options_.beam_size)) finish(candidate, alignment, source_tokens);
    } else if (std::ssize(next) < options_.beam_size) {
      next.push_back({.tokens = parent.tokens, .slots = parent.slots, .score = candidate.score});
      next.back().tokens.push_back(candidate.token);
    }
  }
  live_ = std::move(next);
  if (live_.empty() && finished_.empty()) return fail("the rules exclude every token");
  if (!live_.empty() && !may_improve()) live_.clear();
}

std::vector<DecodedSequence> DecodingSearch::results() {
  if (std::ssize(finished_) > options_.best) finished_.resize(static_cast<size_t>(options_.best));
  return std::move(finished_);
}

std::vector<int32_t> DecodingSearch::progress() const {
  if (live_.empty()) return {};
  return {live_.front().tokens.begin() + 1, live_.front().tokens.end()};
}

}  // namespace qing::nn
