#include <fmt/format.h>

#include <algorithm>

#include <qing/nn/text/pipeline/double_array.h>
#include <qing/nn/text/pipeline/token_model.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

int32_t unknown_id(const Vocabulary& vocabulary, const std::string& unknown) {
  const int32_t id = vocabulary.find(unknown);
  if (id < 0) throw DataError(fmt::format("unk_token: '{}' is not in the vocabulary", unknown));
  return id;
}

class WordPiece final : public TokenModel {
 public:
  WordPiece(Vocabulary vocabulary, const WordPieceOptions& options)
      : TokenModel(std::move(vocabulary)), most_characters_(options.most_characters) {
    unknown_ = unknown_id(vocabulary_, options.unknown);
    std::vector<std::pair<std::string_view, int32_t>> pieces;
    vocabulary_.for_each([&](std::string_view text, int32_t id) { pieces.emplace_back(text, id); });
    trie_ = DoubleArray::build(std::move(pieces));
    continuing_ = trie_.walk(options.continuing_prefix);
  }

  int32_t unknown() const override { return unknown_; }

  void tokenize(std::string_view word, std::vector<Token>& tokens) const override {
    const size_t first = tokens.size();
    if (word.size() > most_characters_ && count_characters(word) > most_characters_)
      return give_up(word, first, tokens);
    for (size_t begin = 0; begin < word.size();) {
      uint32_t node = begin == 0 ? DoubleArray::kRoot : continuing_;
      int32_t best = -1;
      size_t best_end = begin;
      for (size_t at = begin; at < word.size() && node != DoubleArray::kNone; ++at) {
        node = trie_.step(node, static_cast<unsigned char>(word[at]));
        if (node == DoubleArray::kNone) break;
        const int32_t id = trie_.value(node);
        if (id >= 0) {
          best = id;
          best_end = at + 1;
        }
      }
      if (best < 0) return give_up(word, first, tokens);
      tokens.push_back({best, static_cast<uint32_t>(begin), static_cast<uint32_t>(best_end)});
      begin = best_end;
    }
  }

 private:
  void give_up(std::string_view word, size_t first, std::vector<Token>& tokens) const {
    tokens.resize(first);
    tokens.push_back({unknown_, 0, static_cast<uint32_t>(word.size())});
  }

  size_t most_characters_;
  int32_t unknown_;
  DoubleArray trie_;
  uint32_t continuing_;  // the node behind the prefix of pieces that continue a word
};

class WordLevel final : public TokenModel {
 public:
  WordLevel(Vocabulary vocabulary, const std::string& unknown) : TokenModel(std::move(vocabulary)) {
    unknown_ = unknown_id(vocabulary_, unknown);
  }
  int32_t unknown() const override { return unknown_; }
  void tokenize(std::string_view word, std::vector<Token>& tokens) const override {
    const int32_t id = vocabulary_.find(word);
    tokens.push_back({id < 0 ? unknown_ : id, 0, static_cast<uint32_t>(word.size())});
  }

 private:
  int32_t unknown_;
};

}  // namespace

std::unique_ptr<TokenModel> wordpiece_model(Vocabulary vocabulary, const WordPieceOptions& options) {
  return std::make_unique<WordPiece>(std::move(vocabulary), options);
}

std::unique_ptr<TokenModel> word_level_model(Vocabulary vocabulary, const std::string& unknown) {
  return std::make_unique<WordLevel>(std::move(vocabulary), unknown);
}

}  // namespace qing::nn::text
