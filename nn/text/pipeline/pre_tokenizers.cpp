#include <qing/nn/text/pipeline/pre_tokenizers.h>

#include <algorithm>
#include <string>
#include <utility>

#include <qing/nn/text/pipeline/byte_level.h>
#include <qing/nn/text/pipeline/unicode_properties.h>
#include <qing/nn/utf8.h>

namespace qing::nn::text {
namespace {

struct Part {
  uint32_t begin, end;
  bool match;
};

// Joins the matches of one piece and the text between them as the behaviour says.
class Joiner {
 public:
  Joiner(std::vector<Piece>& to, Delimiter behavior) : to_(to), behavior_(behavior) {}

  void begin() { parts_.clear(); }
  void add(uint32_t begin, uint32_t end, bool match) {
    if (begin < end) parts_.push_back({begin, end, match});
  }
  void end() {
    switch (behavior_) {
      case Delimiter::kRemoved:
        for (const Part& part : parts_) {
          if (!part.match) to_.push_back({part.begin, part.end});
        }
        break;
      case Delimiter::kIsolated:
        for (const Part& part : parts_) to_.push_back({part.begin, part.end});
        break;
      case Delimiter::kContiguous: join([](const Part& part, bool before) { return part.match == before; }); break;
      case Delimiter::kMergedWithPrevious:
        join([](const Part& part, bool before) { return part.match && !before; });
        break;
      case Delimiter::kMergedWithNext: join_backward(); break;
    }
  }

 private:
  template <class Joins> void join(const Joins& joins) {
    const size_t first = to_.size();
    bool before = false;
    for (const Part& part : parts_) {
      if (joins(part, before) && to_.size() > first) {
        to_.back().end = part.end;
      } else {
        to_.push_back({part.begin, part.end});
      }
      before = part.match;
    }
  }
  void join_backward() {
    const size_t first = to_.size();
    bool before = false;
    for (size_t i = parts_.size(); i-- > 0;) {
      const Part& part = parts_[i];
      if (part.match && !before && to_.size() > first) {
        to_.back().begin = part.begin;
      } else {
        to_.push_back({part.begin, part.end});
      }
      before = part.match;
    }
    std::reverse(to_.begin() + static_cast<std::ptrdiff_t>(first), to_.end());
  }

  std::vector<Piece>& to_;
  Delimiter behavior_;
  std::vector<Part> parts_;
};

// Hands each piece that is no added token to `cut`, with the list of the new pieces.
template <class Cut> void cut_pieces(PieceText& text, PreTokenizerScratch& scratch, const Cut& cut) {
  std::vector<Piece>& pieces = scratch.other.pieces;
  pieces.clear();
  for (const Piece& piece : text.pieces) {
    if (piece.id >= 0) {
      pieces.push_back(piece);
    } else {
      cut(piece, pieces);
    }
  }
  text.pieces.swap(pieces);
}

class Sequence final : public PreTokenizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<PreTokenizer>> stages) : stages_(std::move(stages)) {}
  void apply(PieceText& text, PreTokenizerScratch& scratch) const override {
    for (const auto& stage : stages_) stage->apply(text, scratch);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> stages_;
};

// At each character for which the class holds.
template <class Holds> class AtCharacters final : public PreTokenizer {
 public:
  AtCharacters(Delimiter behavior, Holds holds) : behavior_(behavior), holds_(holds) {}
  void apply(PieceText& text, PreTokenizerScratch& scratch) const override {
    const std::string_view bytes = text.text.bytes;
    if (behavior_ == Delimiter::kRemoved) {
      cut_pieces(text, scratch, [&](const Piece& piece, std::vector<Piece>& to) {
        uint32_t open = piece.begin;
        for (size_t at = piece.begin; at < piece.end;) {
          const auto begin = static_cast<uint32_t>(at);
          if (!holds_(next_character(bytes, at))) continue;
          if (open < begin) to.push_back({open, begin});
          open = static_cast<uint32_t>(at);
        }
        if (open < piece.end) to.push_back({open, piece.end});
      });
      return;
    }
    Joiner joiner(scratch.other.pieces, behavior_);
    cut_pieces(text, scratch, [&](const Piece& piece, std::vector<Piece>&) {
      joiner.begin();
      uint32_t open = piece.begin;
      for (size_t at = piece.begin; at < piece.end;) {
        const auto begin = static_cast<uint32_t>(at);
        if (!holds_(next_character(bytes, at))) continue;
        joiner.add(open, begin, false);
        joiner.add(begin, static_cast<uint32_t>(at), true);
        open = static_cast<uint32_t>(at);
      }
      joiner.add(open, piece.end, false);
      joiner.end();
    });
  }

 private:
  Delimiter behavior_;
  Holds holds_;
};

template <class Holds> std::unique_ptr<PreTokenizer> at_characters(Delimiter behavior, Holds holds) {
  return std::make_unique<AtCharacters<Holds>>(behavior, holds);
}

// Both of BERT's splits in one pass.
class Bert final : public PreTokenizer {
 public:
  Bert() {
    for (char32_t c = 0; c < 0x80; ++c) ascii_[c] = kind(properties_[c]);
  }
  void apply(PieceText& text, PreTokenizerScratch& scratch) const override {
    const std::string_view bytes = text.text.bytes;
    cut_pieces(text, scratch, [&](const Piece& piece, std::vector<Piece>& to) {
      uint32_t open = piece.begin;
      for (size_t at = piece.begin; at < piece.end;) {
        const auto begin = static_cast<uint32_t>(at);
        const auto byte = static_cast<unsigned char>(bytes[at]);
        Kind what;
        if (byte < 0x80) {
          what = ascii_[byte];
          ++at;
        } else {
          what = kind(properties_[next_character(bytes, at)]);
        }
        if (what == Kind::kWord) continue;
        const auto end = static_cast<uint32_t>(at);
        if (open < begin) to.push_back({open, begin});
        if (what == Kind::kAlone) to.push_back({begin, end});
        open = end;
      }
      if (open < piece.end) to.push_back({open, piece.end});
    });
  }

 private:
  enum class Kind : uint8_t { kWord, kSpace, kAlone };
  static Kind kind(Properties p) { return p.space() ? Kind::kSpace : p.punctuation() ? Kind::kAlone : Kind::kWord; }

  const PropertyTable& properties_ = PropertyTable::get();
  Kind ascii_[0x80];
};

class Words final : public PreTokenizer {
  void apply(PieceText& text, PreTokenizerScratch& scratch) const override {
    const PropertyTable& properties = PropertyTable::get();
    const std::string_view bytes = text.text.bytes;
    cut_pieces(text, scratch, [&](const Piece& piece, std::vector<Piece>& to) {
      int before = 0;  // 0 for white space, 1 for \w, 2 for the rest
      uint32_t open = piece.begin;
      for (size_t at = piece.begin; at < piece.end;) {
        const auto begin = static_cast<uint32_t>(at);
        const Properties p = properties[next_character(bytes, at)];
        const int kind = p.word() ? 1 : p.space() ? 0 : 2;
        if (kind == before) continue;
        if (before != 0) to.push_back({open, begin});
        open = begin;
        before = kind;
      }
      if (before != 0) to.push_back({open, piece.end});
    });
  }
};

class FixedLength final : public PreTokenizer {
 public:
  explicit FixedLength(size_t characters) : characters_(characters) {}
  void apply(PieceText& text, PreTokenizerScratch& scratch) const override {
    const std::string_view bytes = text.text.bytes;
    cut_pieces(text, scratch, [&](const Piece& piece, std::vector<Piece>& to) {
      for (size_t at = piece.begin; at < piece.end;) {
        const auto begin = static_cast<uint32_t>(at);
        for (size_t i = 0; i < characters_ && at < piece.end; ++i) next_character(bytes, at);
        to.push_back({begin, static_cast<uint32_t>(at)});
      }
    });
  }

 private:
  size_t characters_;
};

class Split final : public PreTokenizer {
 public:
  Split(TextPattern pattern, Delimiter behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void apply(PieceText& text, PreTokenizerScratch& scratch) const override {
    const std::string_view bytes = text.text.bytes;
    Joiner joiner(scratch.other.pieces, behavior_);
    std::vector<uint32_t> starts;
    cut_pieces(text, scratch, [&](const Piece& piece, std::vector<Piece>&) {
      scratch.values.clear();
      starts.clear();
      for (size_t at = piece.begin; at < piece.end;) {
        starts.push_back(static_cast<uint32_t>(at));
        scratch.values.push_back(next_character(bytes, at));
      }
      starts.push_back(piece.end);
      joiner.begin();
      size_t from = 0, begin = 0, end = 0;
      while (pattern_.find(scratch.values, from, begin, end)) {
        joiner.add(starts[from], starts[begin], invert_);
        joiner.add(starts[begin], starts[end], !invert_);
        from = end;
      }
      joiner.add(starts[from], piece.end, invert_);
      joiner.end();
    });
  }

 private:
  TextPattern pattern_;
  Delimiter behavior_;
  bool invert_;
};

class ByteLevelSplit final : public PreTokenizer {
 public:
  ByteLevelSplit(Delimiter behavior, bool invert) : behavior_(behavior), invert_(invert) {}
  // The expression leaves nothing out, so that all is a match.
  void apply(PieceText& text, PreTokenizerScratch& scratch) const override {
    Joiner joiner(scratch.other.pieces, behavior_);
    cut_pieces(text, scratch, [&](const Piece& piece, std::vector<Piece>&) {
      const std::string_view bytes = text.text.view(piece.begin, piece.end);
      joiner.begin();
      for (size_t at = 0; at < bytes.size();) {
        const size_t end = byte_level_word_end(bytes, at);
        joiner.add(piece.begin + static_cast<uint32_t>(at), piece.begin + static_cast<uint32_t>(end), !invert_);
        at = end;
      }
      joiner.end();
    });
  }

 private:
  Delimiter behavior_;
  bool invert_;
};

// A stage that writes a new text.
class Rewriting : public PreTokenizer {
 public:
  void apply(PieceText& text, PreTokenizerScratch& scratch) const final {
    PieceText& to = scratch.other;
    to.clear();
    to.text.bytes.reserve(2 * text.text.bytes.size());
    to.text.origins.reserve(2 * text.text.bytes.size());
    for (const Piece& piece : text.pieces) {
      if (piece.id >= 0) {
        const uint32_t begin = to.text.size();
        to.text.append(text.text, piece.begin, piece.end);
        to.pieces.push_back({begin, to.text.size(), piece.id});
      } else {
        rewrite(text.text, piece, to);
      }
    }
    std::swap(text, to);
  }

 private:
  virtual void rewrite(const AlignedText& text, const Piece& piece, PieceText& to) const = 0;
};

class Metaspace final : public Rewriting {
 public:
  Metaspace(char32_t replacement, PrependScheme scheme, bool split) : scheme_(scheme), split_(split) {
    append_utf8(replacement_, replacement);
  }

 private:
  void rewrite(const AlignedText& text, const Piece& piece, PieceText& to) const override {
    const std::string_view bytes = text.view(piece.begin, piece.end);
    const Origin* origins = text.origins.data() + piece.begin;
    const bool marked = bytes[0] == ' ' || bytes.starts_with(replacement_);
    const bool wanted =
        scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && origins[0].begin == 0);
    uint32_t begin = to.text.size();
    // A mark begins a word, unless the word has no character yet but the mark itself.
    const auto mark = [&](Origin origin) {
      if (split_ && to.text.size() > begin) {
        to.pieces.push_back({begin, to.text.size()});
        begin = to.text.size();
      }
      to.text.append(replacement_, origin);
    };
    if (wanted && !marked) mark(origins[0]);
    for (size_t at = 0; at < bytes.size();) {
      if (bytes[at] == ' ') {
        mark(origins[at++]);
      } else if (bytes[at] == replacement_[0] && bytes.substr(at).starts_with(replacement_)) {
        mark(origins[at]);
        at += replacement_.size();
      } else {
        const size_t run = at++;
        while (at < bytes.size() && bytes[at] != ' ' && bytes[at] != replacement_[0]) ++at;
        to.text.append(text, piece.begin + static_cast<uint32_t>(run), piece.begin + static_cast<uint32_t>(at));
      }
    }
    to.pieces.push_back({begin, to.text.size()});
  }

  std::string replacement_;
  PrependScheme scheme_;
  bool split_;
};

class ByteLevel final : public Rewriting {
 public:
  ByteLevel(bool add_prefix_space, bool use_expression)
      : add_prefix_space_(add_prefix_space), use_expression_(use_expression) {}

 private:
  void rewrite(const AlignedText& text, const Piece& piece, PieceText& to) const override {
    std::string_view bytes = text.view(piece.begin, piece.end);
    const Origin* origins = text.origins.data() + piece.begin;
    std::string spaced;
    const bool prefixed = add_prefix_space_ && bytes[0] != ' ';
    if (prefixed) {
      spaced.reserve(bytes.size() + 1);
      spaced += ' ';
      spaced += bytes;
      bytes = spaced;
    }
    for (size_t at = 0; at < bytes.size();) {
      const size_t end = use_expression_ ? byte_level_word_end(bytes, at) : bytes.size();
      const uint32_t begin = to.text.size();
      for (; at < end; ++at) {
        const size_t source = prefixed ? (at == 0 ? 0 : at - 1) : at;
        const auto byte = static_cast<unsigned char>(bytes[at]);
        if (byte > ' ' && byte < 0x7F) {
          to.text.bytes.push_back(static_cast<char>(byte));
          to.text.origins.push_back(origins[source]);
        } else {
          to.text.append(byte_text(byte), origins[source]);
        }
      }
      to.pieces.push_back({begin, to.text.size()});
    }
  }

  bool add_prefix_space_, use_expression_;
};

}  // namespace

std::unique_ptr<PreTokenizer> pre_tokenizer_sequence(std::vector<std::unique_ptr<PreTokenizer>> stages) {
  return std::make_unique<Sequence>(std::move(stages));
}
std::unique_ptr<PreTokenizer> bert_pre_tokenizer() { return std::make_unique<Bert>(); }
std::unique_ptr<PreTokenizer> white_space_pre_tokenizer() {
  return at_characters(Delimiter::kRemoved, [](char32_t c) { return PropertyTable::get()[c].space(); });
}
std::unique_ptr<PreTokenizer> word_pre_tokenizer() { return std::make_unique<Words>(); }
std::unique_ptr<PreTokenizer> punctuation_pre_tokenizer(Delimiter behavior) {
  return at_characters(behavior, [](char32_t c) { return PropertyTable::get()[c].punctuation(); });
}
std::unique_ptr<PreTokenizer> digits_pre_tokenizer(bool individual) {
  return at_characters(individual ? Delimiter::kIsolated : Delimiter::kContiguous,
                       [](char32_t c) { return PropertyTable::get()[c].numeric(); });
}
std::unique_ptr<PreTokenizer> character_pre_tokenizer(char32_t delimiter) {
  return at_characters(Delimiter::kRemoved, [delimiter](char32_t c) { return c == delimiter; });
}
std::unique_ptr<PreTokenizer> length_pre_tokenizer(size_t characters) {
  return std::make_unique<FixedLength>(characters);
}
std::unique_ptr<PreTokenizer> split_pre_tokenizer(TextPattern pattern, Delimiter behavior, bool invert) {
  return std::make_unique<Split>(std::move(pattern), behavior, invert);
}
std::unique_ptr<PreTokenizer> byte_level_split(Delimiter behavior, bool invert) {
  return std::make_unique<ByteLevelSplit>(behavior, invert);
}
std::unique_ptr<PreTokenizer> metaspace_pre_tokenizer(char32_t replacement, PrependScheme scheme, bool split) {
  return std::make_unique<Metaspace>(replacement, scheme, split);
}
std::unique_ptr<PreTokenizer> byte_level_pre_tokenizer(bool add_prefix_space, bool use_expression) {
  return std::make_unique<ByteLevel>(add_prefix_space, use_expression);
}

}  // namespace qing::nn::text
