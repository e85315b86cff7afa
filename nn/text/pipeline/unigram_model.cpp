#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include <qing/nn/text/pipeline/best_path.h>
#include <qing/nn/text/pipeline/double_array.h>
#include <qing/nn/text/pipeline/token_model.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

constexpr double kUnknownPenalty = 10.0;  // of SentencePiece

Vocabulary vocabulary_of(const std::vector<std::pair<std::string, double>>& pieces) {
  Vocabulary vocabulary;
  vocabulary.reserve(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) vocabulary.add(pieces[i].first, static_cast<int32_t>(i), true);
  return vocabulary;
}

class Unigram final : public TokenModel {
 public:
  Unigram(const std::vector<std::pair<std::string, double>>& pieces, int32_t unknown, bool byte_fallback)
      : TokenModel(vocabulary_of(pieces)), unknown_(unknown), byte_fallback_(byte_fallback) {
    if (unknown < 0 || static_cast<size_t>(unknown) >= pieces.size()) {
      throw DataError(fmt::format("unk_id: {} is none of the {} pieces", unknown, pieces.size()));
    }
    std::vector<std::pair<std::string_view, int32_t>> keys;
    keys.reserve(pieces.size());
    double least = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < pieces.size(); ++i) {
      keys.emplace_back(pieces[i].first, static_cast<int32_t>(i));
      scores_.push_back(pieces[i].second);
      least = std::min(least, pieces[i].second);
    }
    unknown_score_ = least - kUnknownPenalty;
    trie_ = DoubleArray::build(std::move(keys));
    if (!byte_fallback_) return;
    for (size_t byte = 0; byte < 256; ++byte) {
      bytes_[byte] = vocabulary_.find(byte_token(static_cast<unsigned char>(byte)));
    }
  }

  int32_t unknown() const override { return unknown_; }
  size_t size() const override { return scores_.size(); }
  bool keeps_words() const override { return true; }
  std::string_view shown(int32_t, std::string_view word) const override { return word; }

  void tokenize(std::string_view word, std::vector<Token>& tokens) const override {
    thread_local std::vector<PathNode<double>> best;
    const auto score_of = [&](int32_t id, size_t) { return std::optional(scores_[static_cast<size_t>(id)]); };
    find_best_path(trie_, word, unknown_, unknown_score_, score_of, best);
    const size_t first = tokens.size();
    bool open = false;  // the token pushed last, which comes later in the text, is unknown too
    for (size_t end = word.size(); end > 0;) {
      const PathNode<double>& node = best[end];
      const bool unknown = node.id == unknown_;
      if (unknown && open) {
        tokens.back().begin = node.begin;
      } else {
        tokens.push_back({node.id, node.begin, static_cast<uint32_t>(end)});
      }
      open = unknown;
      end = node.begin;
    }
    std::reverse(tokens.begin() + static_cast<std::ptrdiff_t>(first), tokens.end());
    name_unknown(word, first, tokens);
  }

 private:
  // Joined unknown text gets the id of an equal piece, or else the ids of its bytes if all have tokens.
  void name_unknown(std::string_view word, size_t first, std::vector<Token>& tokens) const {
    for (size_t i = first; i < tokens.size(); ++i) {
      if (tokens[i].id != unknown_) continue;
      const Token token = tokens[i];
      const std::string_view text = word.substr(token.begin, token.end - token.begin);
      if (const int32_t id = vocabulary_.find(text); id >= 0) {
        tokens[i].id = id;
        continue;
      }
      if (!byte_fallback_) continue;
      const bool all =
          std::all_of(text.begin(), text.end(), [&](char c) { return bytes_[static_cast<unsigned char>(c)] >= 0; });
      if (!all) continue;
      tokens.insert(tokens.begin() + static_cast<std::ptrdiff_t>(i), text.size() - 1, token);
      for (const char c : text) tokens[i++].id = bytes_[static_cast<unsigned char>(c)];
      --i;
    }
  }

  int32_t unknown_;
  bool byte_fallback_;
  double unknown_score_ = 0;
  std::vector<double> scores_;
  DoubleArray trie_;
  std::array<int32_t, 256> bytes_{};
};

}  // namespace

std::unique_ptr<TokenModel> unigram_model(const std::vector<std::pair<std::string, double>>& pieces, int32_t unknown,
                                          bool byte_fallback) {
  return std::make_unique<Unigram>(pieces, unknown, byte_fallback);
}

}  // namespace qing::nn::text
