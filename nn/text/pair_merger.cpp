#include <qing/nn/text/pair_merger.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace qing::nn::text {

PairMerger::PairMerger(std::vector<TrainingWord> words, int64_t min_frequency, Join join, Before before)
    : words_(std::move(words)), min_frequency_(min_frequency), join_(std::move(join)), before_(std::move(before)) {
  for (size_t w = 0; w < words_.size(); ++w) {
    const auto& pieces = words_[w].pieces;
    for (size_t i = 0; i + 1 < pieces.size(); ++i) add(pair_of(pieces[i], pieces[i + 1]), words_[w].count, w);
  }
  for (const auto& [pair, count] : counts_) {
    if (count >= min_frequency_) queue_.push({count, pair});
  }
}

void PairMerger::add(PiecePair pair, int64_t count, size_t word) {
  counts_[pair] += count;
  if (count > 0) where_[pair].push_back(static_cast<uint32_t>(word));
}

std::optional<PiecePair> PairMerger::merge_next() {
  while (!queue_.empty()) {
    const Candidate best = queue_.top();
    queue_.pop();
    const auto current = counts_.find(best.pair);
    const int64_t count = current == counts_.end() ? 0 : current->second;
    if (count == best.count) {
      merge(best.pair);
      return best.pair;
    }
    // An outdated entry: the count has decreased since.
    if (count >= min_frequency_) queue_.push({count, best.pair});
  }
  return {};
}

void PairMerger::merge(PiecePair pair) {
  const int32_t piece = join_(pair);
  std::vector<uint32_t> touched = std::move(where_[pair]);
  where_.erase(pair);
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  std::unordered_set<PiecePair> grown;
  for (const uint32_t w : touched) {
    auto& [pieces, count] = words_[w];
    for (size_t i = 0; i + 1 < pieces.size(); ++i) {
      if (pair_of(pieces[i], pieces[i + 1]) != pair) continue;
      if (i > 0) {
        add(pair_of(pieces[i - 1], pieces[i]), -count, w);
        add(pair_of(pieces[i - 1], piece), count, w);
        grown.insert(pair_of(pieces[i - 1], piece));
      }
      if (i + 2 < pieces.size()) {
        add(pair_of(pieces[i + 1], pieces[i + 2]), -count, w);
        add(pair_of(piece, pieces[i + 2]), count, w);
        grown.insert(pair_of(piece, pieces[i + 2]));
      }
      pieces[i] = piece;
      pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
  }
  counts_.erase(pair);
  for (const PiecePair p : grown) {
    const int64_t count = counts_[p];
    if (p != pair && count >= min_frequency_) queue_.push({count, p});
  }
}

}  // namespace qing::nn::text
