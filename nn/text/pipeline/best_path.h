// The split of a word into pieces whose scores have the highest sum (Viterbi). Private to nn/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include <qing/nn/text/pipeline/double_array.h>

namespace qing::nn::text {

inline constexpr uint32_t kUnreached = std::numeric_limits<uint32_t>::max();

/// The best path to the end of a piece: its sum, and the piece that ends there.
template <class Sum> struct PathNode {
  Sum sum;
  int32_t id;
  uint32_t begin;
};

/// Fills best[end] for each end of a character of `word`, valid UTF-8. A character that is no piece is a piece of
/// `unknown`. `score_of(id, bytes)` is a piece's score as a double, or nothing for a piece that does not count. Sums
/// are compared before they are rounded to `Sum`: double as in `tokenizers`, float as in SentencePiece. Of equal sums
/// the first counts.
template <class Sum, class ScoreOf>
void find_best_path(const DoubleArray& trie, std::string_view word, int32_t unknown, Sum unknown_score,
                    const ScoreOf& score_of, std::vector<PathNode<Sum>>& best) {
  best.assign(word.size() + 1, {0, 0, kUnreached});
  for (size_t begin = 0; begin < word.size();) {
    const auto lead = static_cast<unsigned char>(word[begin]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    const Sum sum = best[begin].sum;
    const auto reach = [&](size_t end, auto candidate, int32_t id) {
      PathNode<Sum>& node = best[end];
      if (node.begin != kUnreached && candidate <= node.sum) return;
      node = {static_cast<Sum>(candidate), id, static_cast<uint32_t>(begin)};
    };
    bool single = false;
    uint32_t node = DoubleArray::kRoot;
    for (size_t at = begin; at < word.size(); ++at) {
      node = trie.step(node, static_cast<unsigned char>(word[at]));
      if (node == DoubleArray::kNone) break;
      const int32_t id = trie.value(node);
      if (id < 0) continue;
      const std::optional<double> score = score_of(id, at + 1 - begin);
      if (!score) continue;
      reach(at + 1, sum + *score, id);
      single = single || at + 1 == begin + length;
    }
    if (!single) reach(begin + length, static_cast<Sum>(sum + unknown_score), unknown);
    begin += length;
  }
}

}  // namespace qing::nn::text
