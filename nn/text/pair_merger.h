// The merging behind vocabularies of pieces (Sennrich et al. 2016): the most frequent pair of neighbours becomes one
// piece, again and again. Counts are updated merge by merge instead of counted again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <unordered_map>
#include <vector>

namespace qing::nn::text {

/// Two ids of pieces. Pairs compare by the left id, then by the right.
using PiecePair = uint64_t;
inline PiecePair pair_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}
inline int32_t left_of(PiecePair pair) { return static_cast<int32_t>(pair >> 32); }
inline int32_t right_of(PiecePair pair) { return static_cast<int32_t>(pair & 0xffffffff); }

/// A word of the training texts, as pieces, and how often it occurs.
struct TrainingWord {
  std::vector<int32_t> pieces;
  int64_t count;
};

/// Not thread-safe. Results do not depend on the order of the words.
class PairMerger {
 public:
  /// The id of the piece that a pair becomes. Different pairs may become the same piece.
  using Join = std::function<int32_t(PiecePair)>;
  /// Whether the first of two pairs of equal counts is merged first.
  using Before = std::function<bool(PiecePair, PiecePair)>;

  PairMerger(std::vector<TrainingWord> words, int64_t min_frequency, Join join, Before before);
  PairMerger(const PairMerger&) = delete;  // the queue points into the object
  PairMerger& operator=(const PairMerger&) = delete;

  /// Merges the most frequent pair in all words and returns it. Nothing if none occurs min_frequency times.
  std::optional<PiecePair> merge_next();

 private:
  struct Candidate {
    int64_t count;
    PiecePair pair;
  };
  struct IsLater {
    const Before* before;
    bool operator()(const Candidate& a, const Candidate& b) const {
      return a.count != b.count ? a.count < b.count : (*before)(b.pair, a.pair);
    }
  };

  void add(PiecePair pair, int64_t count, size_t word);
  void merge(PiecePair pair);

  std::vector<TrainingWord> words_;
  int64_t min_frequency_;
  Join join_;
  Before before_;
  std::unordered_map<PiecePair, int64_t> counts_;
  std::unordered_map<PiecePair, std::vector<uint32_t>> where_;  // words that have, or once had, the pair
  std::priority_queue<Candidate, std::vector<Candidate>, IsLater> queue_{IsLater{&before_}};
};

}  // namespace qing::nn::text
