// Training of a WordPiece vocabulary: start from characters and merge the most frequent neighbours (Schuster & Nakajima
// 2012).
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <unordered_map>

#include <qing/nn/text/normalizer.h>
#include <qing/nn/text/pair_merger.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

class WordPieceTrainer {
 public:
  WordPieceTrainer(std::span<const std::string> texts, int32_t size, TokenizerOptions options, int64_t min_frequency)
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
    const auto join = [this](text::PiecePair pair) { return joined(pair); };
    const auto before = [this](text::PiecePair a, text::PiecePair b) {
      const auto key = [this](text::PiecePair p) {
        return std::tie(pieces_[text::left_of(p)], pieces_[text::right_of(p)]);
      };
      return key(a) < key(b);
    };
    text::PairMerger merger(std::move(words_), min_frequency_, join, before);
    while (pieces_.size() < size_ && merger.merge_next()) {}
    return std::move(pieces_);
  }

 private:
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
      text::TrainingWord word{{}, count};
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

  int32_t joined(text::PiecePair pair) {
    std::string text = pieces_[text::left_of(pair)] + pieces_[text::right_of(pair)].substr(2);
    const auto [entry, fresh] = ids_.emplace(text, static_cast<int32_t>(pieces_.size()));
    // "ab"+"##c" and "a"+"##bc" give the same piece.
    if (fresh) pieces_.push_back(std::move(text));
    return entry->second;
  }

  size_t size_;
  int64_t min_frequency_;
  std::vector<std::string> pieces_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<text::TrainingWord> words_;
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
  return WordPieceTrainer(texts, size, options, min_frequency).run();
}

}  // namespace qing::nn
