#include <qing/nn/text/sentencepiece.h>

#include <algorithm>
#include <cfloat>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <qing/nn/text/pipeline/best_path.h>
#include <qing/nn/text/pipeline/double_array.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

constexpr float kUnknownCharacterPenalty = 10;

Vocabulary pieces_in_order(const SentencePieceFile& file) {
  Vocabulary vocabulary;
  vocabulary.reserve(file.pieces.size());
  // A control piece and a piece of text may be spelled alike. The control piece's id is then the text's, as there.
  for (const bool reserved : {false, true}) {
    for (size_t id = 0; id < file.pieces.size(); ++id) {
      const PieceType type = file.pieces[id].type;
      const bool is_reserved = type == PieceType::kUnknown || type == PieceType::kControl || type == PieceType::kByte;
      if (is_reserved == reserved) vocabulary.add(file.pieces[id].text, static_cast<int32_t>(id), true);
    }
  }
  return vocabulary;
}

using Keys = std::vector<std::pair<std::string_view, int32_t>>;

// Pieces that a text is searched for: all but control, byte and unknown pieces.
Keys plain_pieces(const SentencePieceFile& file, bool user_defined_only) {
  Keys keys;
  for (size_t id = 0; id < file.pieces.size(); ++id) {
    const auto& [text, score, type] = file.pieces[id];
    const bool plain = type == PieceType::kNormal || type == PieceType::kUnused;
    if (type == PieceType::kUserDefined || (plain && !user_defined_only)) {
      keys.emplace_back(text, static_cast<int32_t>(id));
    }
  }
  return keys;
}

// The bytes of the longest key that a text begins with; 0 for none.
size_t longest_key(const DoubleArray& keys, std::string_view text) {
  size_t longest = 0;
  uint32_t node = DoubleArray::kRoot;
  for (size_t i = 0; i < text.size(); ++i) {
    node = keys.step(node, static_cast<unsigned char>(text[i]));
    if (node == DoubleArray::kNone) break;
    if (keys.value(node) >= 0) longest = i + 1;
  }
  return longest;
}

size_t bytes_of_character(std::string_view text) {
  size_t at = 0;
  next_character(text, at);
  return at;
}

// From a word to pieces of the file, without what SentencePieceProcessor does behind its models.
class Segmenter {
 public:
  virtual ~Segmenter() = default;
  virtual void split(std::string_view word, std::vector<Token>& tokens) const = 0;
};

class UnigramSegmenter final : public Segmenter {
 public:
  explicit UnigramSegmenter(const SentencePieceFile& file) : unknown_(file.unknown) {
    float least = FLT_MAX, most = FLT_MIN;  // as there, so that scores below 0 have no part in `most`
    for (const auto& [text, score, type] : file.pieces) {
      if (type != PieceType::kNormal) continue;
      least = std::min(least, score);
      most = std::max(most, score);
    }
    unknown_score_ = least - kUnknownCharacterPenalty;
    most_ = most;
    for (const auto& [text, score, type] : file.pieces) scores_.push_back({score, type});
    trie_ = DoubleArray::build(plain_pieces(file, false));
  }

  void split(std::string_view word, std::vector<Token>& tokens) const override {
    thread_local std::vector<PathNode<float>> best;
    const auto score_of = [&](int32_t id, size_t bytes) -> std::optional<double> {
      const auto& [score, type] = scores_[static_cast<size_t>(id)];
      if (type == PieceType::kUnused) return std::nullopt;
      if (type == PieceType::kUserDefined) return static_cast<double>(static_cast<float>(bytes) * most_) - 0.1;
      return score;
    };
    find_best_path(trie_, word, unknown_, unknown_score_, score_of, best);
    for (size_t end = word.size(); end > 0; end = best[end].begin) {
      tokens.push_back({best[end].id, best[end].begin, static_cast<uint32_t>(end)});
    }
    std::reverse(tokens.begin(), tokens.end());
  }

 private:
  struct Score {
    float score;
    PieceType type;
  };
  int32_t unknown_;
  float unknown_score_ = 0, most_ = 0;
  std::vector<Score> scores_;
  DoubleArray trie_;
};

// Merges the neighbours whose joined text is the piece of the highest score, the first of equals.
class BpeSegmenter final : public Segmenter {
 public:
  explicit BpeSegmenter(const SentencePieceFile& file) : unknown_(file.unknown) {
    for (const auto& [text, id] : plain_pieces(file, false)) {
      const SentencePiece& piece = file.pieces[static_cast<size_t>(id)];
      pieces_.add(text, id);
      longest_ = std::max(longest_, text.size());
      scores_.resize(static_cast<size_t>(id) + 1);
      scores_.back() = {piece.score, piece.type == PieceType::kUnused};
    }
    frozen_ = DoubleArray::build(plain_pieces(file, true));
  }

  void split(std::string_view word, std::vector<Token>& tokens) const override {
    std::vector<Symbol> symbols = spell(word);
    std::priority_queue<Pair> pairs;
    std::unordered_map<std::string_view, size_t> parts;  // of an unused piece: the bytes of its first part
    const auto text = [&](const Symbol& symbol) { return word.substr(symbol.begin, symbol.end - symbol.begin); };
    const auto push = [&](int32_t left, int32_t right) {
      if (left < 0 || right < 0) return;
      const Symbol &a = symbols[static_cast<size_t>(left)], &b = symbols[static_cast<size_t>(right)];
      if (a.frozen || b.frozen || b.end - a.begin > longest_) return;
      const std::string_view joined = word.substr(a.begin, b.end - a.begin);
      const int32_t id = pieces_.find(joined);
      if (id < 0) return;
      const auto& [score, unused] = scores_[static_cast<size_t>(id)];
      pairs.push({score, left, right, b.end - a.begin});
      if (unused) parts[joined] = a.end - a.begin;
    };
    const auto count = static_cast<int32_t>(symbols.size());
    for (int32_t i = 1; i < count; ++i) push(i - 1, i);
    while (!pairs.empty()) {
      const Pair pair = pairs.top();
      pairs.pop();
      Symbol &left = symbols[static_cast<size_t>(pair.left)], &right = symbols[static_cast<size_t>(pair.right)];
      if (left.begin == left.end || right.begin == right.end) continue;  // merged since
      if (left.end - left.begin + right.end - right.begin != pair.size) continue;
      left.end = right.end;
      left.next = right.next;
      if (right.next >= 0) symbols[static_cast<size_t>(right.next)].previous = pair.left;
      right.end = right.begin;
      push(left.previous, pair.left);
      push(pair.left, left.next);
    }
    std::vector<std::string_view> open;
    for (int32_t i = 0; i >= 0 && i < count; i = symbols[static_cast<size_t>(i)].next) {
      open.push_back(text(symbols[static_cast<size_t>(i)]));
      while (!open.empty()) {
        const std::string_view piece = open.back();
        open.pop_back();
        const int32_t id = pieces_.find(piece);
        const auto cut = parts.find(piece);
        if (id >= 0 && scores_[static_cast<size_t>(id)].unused && cut != parts.end()) {
          open.push_back(piece.substr(cut->second));
          open.push_back(piece.substr(0, cut->second));
          continue;
        }
        const auto begin = static_cast<uint32_t>(piece.data() - word.data());
        tokens.push_back({id < 0 ? unknown_ : id, begin, begin + static_cast<uint32_t>(piece.size())});
      }
    }
  }

 private:
  struct Symbol {
    uint32_t begin, end;
    int32_t previous, next;  // -1 at the ends
    bool frozen;             // a user-defined piece, which is not merged
  };
  struct Pair {
    float score;
    int32_t left, right;
    uint32_t size;
    bool operator<(const Pair& other) const { return score != other.score ? score < other.score : left > other.left; }
  };
  struct Score {
    float score = 0;
    bool unused = false;
  };

  std::vector<Symbol> spell(std::string_view word) const {
    std::vector<Symbol> symbols;
    for (size_t at = 0; at < word.size();) {
      const size_t own = longest_key(frozen_, word.substr(at));
      const size_t end = at + (own > 0 ? own : bytes_of_character(word.substr(at)));
      const auto place = static_cast<int32_t>(symbols.size());
      symbols.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(end), place - 1,
                         end < word.size() ? place + 1 : -1, own > 0});
      at = end;
    }
    return symbols;
  }

  int32_t unknown_;
  Vocabulary pieces_;
  size_t longest_ = 0;  // bytes of a piece
  std::vector<Score> scores_;
  DoubleArray frozen_;
};

class SentencePieceModel final : public TokenModel {
 public:
  SentencePieceModel(const SentencePieceFile& file, std::optional<OtherVocabulary> other)
      : TokenModel(other ? std::move(other->vocabulary) : pieces_in_order(file)),
        piece_(file.unknown),
        other_(other.has_value()),
        unknown_(other ? other->unknown : file.unknown) {
    if (file.bpe) {
      segmenter_ = std::make_unique<BpeSegmenter>(file);
    } else {
      segmenter_ = std::make_unique<UnigramSegmenter>(file);
    }
    for (size_t id = 0; id < file.pieces.size(); ++id) {
      const int32_t found = other_ ? vocabulary_.find(file.pieces[id].text) : static_cast<int32_t>(id);
      ids_.push_back(found < 0 ? unknown_ : found);
    }
    if (!file.byte_fallback) return;
    bytes_.resize(256);
    for (size_t id = 0; id < file.pieces.size(); ++id) {
      if (file.pieces[id].type == PieceType::kByte) bytes_[*byte_of_token(file.pieces[id].text)] = ids_[id];
    }
  }

  int32_t unknown() const override { return unknown_; }
  size_t size() const override { return other_ ? vocabulary_.size() : ids_.size(); }

  void tokenize(std::string_view word, std::vector<Token>& tokens) const override {
    thread_local std::vector<Token> pieces;
    pieces.clear();
    segmenter_->split(word, pieces);
    for (size_t i = 0; i < pieces.size(); ++i) {
      Token piece = pieces[i];
      if (piece.id != piece_) {
        tokens.push_back({ids_[static_cast<size_t>(piece.id)], piece.begin, piece.end});
        continue;
      }
      if (!bytes_.empty()) {
        for (const char byte : word.substr(piece.begin, piece.end - piece.begin)) {
          tokens.push_back({bytes_[static_cast<unsigned char>(byte)], piece.begin, piece.end});
        }
        continue;
      }
      while (i + 1 < pieces.size() && pieces[i + 1].id == piece_) piece.end = pieces[++i].end;
      const int32_t found = other_ ? vocabulary_.find(word.substr(piece.begin, piece.end - piece.begin)) : -1;
      tokens.push_back({found < 0 ? unknown_ : found, piece.begin, piece.end});
    }
  }

 private:
  std::unique_ptr<Segmenter> segmenter_;
  int32_t piece_;  // of unknown text
  bool other_;
  int32_t unknown_;             // its id
  std::vector<int32_t> ids_;    // of the pieces
  std::vector<int32_t> bytes_;  // their ids; empty without byte_fallback
};

}  // namespace

std::unique_ptr<TokenModel> sentencepiece_model(const SentencePieceFile& file, std::optional<OtherVocabulary> other) {
  return std::make_unique<SentencePieceModel>(file, std::move(other));
}

}  // namespace qing::nn::text
