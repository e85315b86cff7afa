// Decoding of transformers 5.23 written plainly: the model computes every hypothesis from its beginning.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/nn/models/translation_decoder.h>
#include <qing/nn/models/translation_model.h>

namespace qing::nn::test {

struct Path {
  std::vector<int32_t> tokens;  // with the start token
  double score;
};

/// log-softmax of the logits behind `tokens`.
inline std::vector<double> naive_log_probabilities(const TranslationModel& model, const std::vector<int32_t>& source,
                                                   const std::vector<int32_t>& tokens) {
  const NoGradGuard guard;
  const std::vector<std::span<const int32_t>> from{source}, to{tokens};
  const Tensor logits = model.forward(RaggedBatch::of(from), RaggedBatch::of(to));
  std::vector<double> row;
  for (int64_t c = 0; c < logits.size(1); ++c) row.push_back(logits.at({logits.size(0) - 1, c}));
  const double top = *std::ranges::max_element(row);
  double sum = 0;
  for (const double x : row) sum += std::exp(x - top);
  for (double& x : row) x -= top + std::log(sum);
  return row;
}

inline DecodedSequence naive_result(const Path& path, const DecodingOptions& options, int32_t eos) {
  DecodedSequence done;
  done.tokens.assign(path.tokens.begin() + 1, path.tokens.end());
  done.score = path.score / std::pow(static_cast<double>(done.tokens.size()), options.length_penalty);
  done.ended = done.tokens.back() == eos;
  return done;
}

inline DecodedSequence naive_greedy(const TranslationModel& model, const std::vector<int32_t>& source,
                                    const DecodingOptions& options) {
  Path path{{model.config().start_id}, 0};
  while (std::ssize(path.tokens) <= options.max_tokens) {
    const std::vector<double> p = naive_log_probabilities(model, source, path.tokens);
    const auto best = std::ranges::max_element(p);
    path.score += *best;
    path.tokens.push_back(static_cast<int32_t>(best - p.begin()));
    if (path.tokens.back() == model.config().eos_id) break;
  }
  return naive_result(path, options, model.config().eos_id);
}

inline std::vector<DecodedSequence> naive_beam(const TranslationModel& model, const std::vector<int32_t>& source,
                                               const DecodingOptions& options) {
  const int32_t eos = model.config().eos_id;
  const auto beams = static_cast<size_t>(options.beam_size);
  const auto better = [](const auto& a, const auto& b) { return a.score > b.score; };
  std::vector<Path> live{{{model.config().start_id}, 0}};
  std::vector<DecodedSequence> finished;
  for (int64_t length = 1;; ++length) {
    std::vector<Path> candidates;
    for (const Path& path : live) {
      const std::vector<double> p = naive_log_probabilities(model, source, path.tokens);
      for (size_t c = 0; c < p.size(); ++c) {
        candidates.push_back({path.tokens, path.score + p[c]});
        candidates.back().tokens.push_back(static_cast<int32_t>(c));
      }
    }
    std::ranges::stable_sort(candidates, better);
    candidates.resize(2 * beams);
    live.clear();
    for (size_t i = 0; i < candidates.size(); ++i) {
      const bool ends = candidates[i].tokens.back() == eos || length == options.max_tokens;
      if (ends && i < beams) finished.push_back(naive_result(candidates[i], options, eos));
      if (!ends && live.size() < beams) live.push_back(candidates[i]);
    }
    std::ranges::stable_sort(finished, better);
    if (finished.size() > beams) finished.resize(beams);
    if (live.empty()) break;
    if (finished.size() < beams) continue;
    if (options.early_stopping == EarlyStopping::yes) break;
    const bool longest = options.early_stopping == EarlyStopping::never && options.length_penalty > 0;
    const auto tokens = static_cast<double>(longest ? options.max_tokens : length);
    if (!(live[0].score / std::pow(tokens, options.length_penalty) > finished.back().score)) break;
  }
  finished.resize(static_cast<size_t>(options.best));
  return finished;
}

}  // namespace qing::nn::test
