// Training of a WordPiece vocabulary: start from characters and merge the most frequent neighbours (Schuster & Nakajima
// 2012; the merging of Sennrich et al. 2016), with counts updated merge by merge instead of counted again.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <queue>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include <qing/nn/text/normalizer.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

using Pair = uint64_t;  // two piece ids
Pair pair_of(int32_t a, int32_t b) {
  return static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32 | static_cast<uint32_t>(b);
}
int32_t left_of(Pair p) { return static_cast<int32_t>(p >> 32); }
int32_t right_of(Pair p) { return static_cast<int32_t>(p & 0xffffffff); }

struct TrainingWord {
  std::vector<int32_t> pieces;
  int64_t count;
};

class Trainer {
 public:
  Trainer(std::span<const std::string> texts, int32_t size, TokenizerOptions options, int64_t min_frequency)
      : size_(static_cast<size_t>(size)), min_frequency_(min_frequency) {
    for (const std::string_view special : kSpecialTokens) {
      pieces_.emplace_back(special);
      ids_.emplace(special, static_cast<int32_t>(pieces_.size()) - 1);
    }
    // Ordered, so that nothing depends on a hash.
    std::map<std::string, int64_t> counts;
    for (const std::string& text : texts) {
      for (Word& word : split_words(text, options)) ++counts[std::move(word.text)];
    }
    choose_alphabet(counts);
    spell(counts);
  }

  std::vector<std::string> run() && {
    count_pairs();
    while (pieces_.size() < size_ && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const auto current = counts_.find(best.pair);
      const int64_t count = current == counts_.end() ? 0 : current->second;
      if (count != best.count) {  // an outdated entry: the count has decreased since
        if (count >= min_frequency_) queue_.push(candidate(best.pair, count));
        continue;
      }
      merge(best.pair);
    }
    return std::move(pieces_);
  }

 private:
  struct Candidate {
    int64_t count;
    Pair pair;
    const std::vector<std::string>* pieces;
    // The top of the queue is the most frequent pair. Among equal counts it is the first in alphabetical order.
    bool operator<(const Candidate& other) const {
      if (count != other.count) return count < other.count;
      const auto key = [this](Pair p) { return std::tie((*pieces)[left_of(p)], (*pieces)[right_of(p)]); };
      return key(other.pair) < key(pair);
    }
  };
  Candidate candidate(Pair pair, int64_t count) const { return {count, pair, &pieces_}; }

  static std::vector<std::string> characters(const std::string& word) {
    std::vector<std::string> result;
    for (size_t begin = 0; begin < word.size();) {
      size_t end = begin + 1;
      while (end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0) == 0x80) ++end;
      result.push_back((begin == 0 ? "" : "##") + word.substr(begin, end - begin));
      begin = end;
    }
    return result;
  }

  void choose_alphabet(const std::map<std::string, int64_t>& counts) {
    std::map<std::string, int64_t> frequency;
    for (const auto& [word, count] : counts) {
      for (const std::string& piece : characters(word)) frequency[piece] += count;
    }
    std::vector<std::pair<std::string, int64_t>> alphabet;
    for (const auto& entry : frequency) {
      if (entry.second >= min_frequency_) alphabet.push_back(entry);
    }
    const size_t room = size_ - pieces_.size();
    if (alphabet.size() > room) {
      std::stable_sort(alphabet.begin(), alphabet.end(),
                       [](const auto& a, const auto& b) { return a.second > b.second; });
      alphabet.resize(room);
      std::sort(alphabet.begin(), alphabet.end());
    }
    for (const auto& [piece, count] : alphabet) {
      pieces_.push_back(piece);
      ids_.emplace(piece, static_cast<int32_t>(pieces_.size()) - 1);
    }
  }

  // Words with a character outside the alphabet will be [UNK], so they teach nothing.
  void spell(const std::map<std::string, int64_t>& counts) {
    for (const auto& [text, count] : counts) {
      TrainingWord word{{}, count};
      bool known = true;
      for (const std::string& piece : characters(text)) {
        const auto found = ids_.find(piece);
        known = known && found != ids_.end();
        if (!known) break;
        word.pieces.push_back(found->second);
      }
      if (known && word.pieces.size() > 1) words_.push_back(std::move(word));
    }
  }

  void add(Pair pair, int64_t count, size_t word) {
    counts_[pair] += count;
    if (count > 0) where_[pair].push_back(static_cast<uint32_t>(word));
  }

  void count_pairs() {
    for (size_t w = 0; w < words_.size(); ++w) {
      const auto& pieces = words_[w].pieces;
      for (size_t i = 0; i + 1 < pieces.size(); ++i) add(pair_of(pieces[i], pieces[i + 1]), words_[w].count, w);
    }
    for (const auto& [pair, count] : counts_) {
      if (count >= min_frequency_) queue_.push(candidate(pair, count));
    }
  }

  int32_t joined(Pair pair) {
    std::string text = pieces_[left_of(pair)] + pieces_[right_of(pair)].substr(2);
    const auto [entry, fresh] = ids_.emplace(text, static_cast<int32_t>(pieces_.size()));
    // "ab"+"##c" and "a"+"##bc" give the same piece.
    if (fresh) pieces_.push_back(std::move(text));
    return entry->second;
  }

  void merge(Pair pair) {
    const int32_t piece = joined(pair);
    std::vector<uint32_t> touched = std::move(where_[pair]);
    where_.erase(pair);
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    std::unordered_set<Pair> grown;
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
    for (const Pair p : grown) {
      const int64_t count = counts_[p];
      if (p != pair && count >= min_frequency_) queue_.push(candidate(p, count));
    }
  }

  size_t size_;
  int64_t min_frequency_;
  std::vector<std::string> pieces_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<TrainingWord> words_;
  std::unordered_map<Pair, int64_t> counts_;
  std::unordered_map<Pair, std::vector<uint32_t>> where_;  // words that have, or once had, the pair
  std::priority_queue<Candidate> queue_;
};

}  // namespace

std::vector<std::string> train_wordpiece(std::span<const std::string> texts, int32_t size, TokenizerOptions options,
                                         int64_t min_frequency) {
  const auto specials = static_cast<int32_t>(std::size(kSpecialTokens));
  if (size <= specials) {
    throw ValueError(fmt::format("train_wordpiece: size is {}; the special tokens alone are {}", size, specials));
  }
  if (min_frequency < 1) {
    throw ValueError(fmt::format("train_wordpiece: min_frequency is {}; it must be at least 1", min_frequency));
  }
  return Trainer(texts, size, options, min_frequency).run();
}

}  // namespace qing::nn
