// The first and the last stage of SentencePiece: from a text to the text that is split, and from pieces to a text.
#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <qing/nn/text/pipeline/charsmap.h>
#include <qing/nn/text/pipeline/double_array.h>
#include <qing/nn/text/pipeline/unicode_properties.h>
#include <qing/nn/text/sentencepiece.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581, which stands for a space
constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

std::optional<Charsmap> charsmap_of(const SentencePieceRules& rules, const char* field) {
  if (rules.charsmap.empty()) return std::nullopt;
  try {
    return Charsmap(rules.charsmap);
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: precompiled_charsmap: {}", field, error.what()));
  }
}

class SentencePieceNormalizer final : public Normalizer {
 public:
  SentencePieceNormalizer(const SentencePieceRules& rules, const char* field,
                          std::vector<std::pair<std::string_view, int32_t>> kept)
      : rules_(rules), map_(charsmap_of(rules, field)), kept_(DoubleArray::build(std::move(kept))) {
    rules_.charsmap.clear();
  }

  void append(std::string_view text, uint32_t base, AlignedText& to, NormalizerScratch&) const override {
    const uint32_t first = to.size();
    const std::string_view space = rules_.escape_whitespaces ? kMark : " ";
    size_t at = 0, length = 0;
    if (rules_.remove_extra_whitespaces) {
      while (at < text.size() && begin_of(text.substr(at), length) == " ") at += length;
    }
    if (at == text.size()) return;
    const auto origin = [&](size_t begin, size_t end) {
      return Origin{base + static_cast<uint32_t>(begin), base + static_cast<uint32_t>(end)};
    };
    if (rules_.add_dummy_prefix) to.append(space, origin(at, at));
    bool after_space = rules_.remove_extra_whitespaces;
    for (; at < text.size(); at += length) {
      std::string_view with = begin_of(text.substr(at), length);
      while (after_space && with.starts_with(' ')) with.remove_prefix(1);
      if (!with.empty()) after_space = rules_.remove_extra_whitespaces && with.back() == ' ';
      for (size_t i = 0; i < with.size();) {
        const size_t found = std::min(with.find(' ', i), with.size());
        to.append(with.substr(i, found - i), origin(at, at + length));
        if (found < with.size()) to.append(space, origin(at, at + length));
        i = found + 1;
      }
    }
    if (!rules_.remove_extra_whitespaces) return;
    uint32_t end = to.size();
    while (to.view(first, end).ends_with(space)) end -= static_cast<uint32_t>(space.size());
    to.bytes.erase(end);
    to.origins.erase(to.origins.begin() + end, to.origins.end());
  }

  void apply(Chars& text, NormalizerScratch& scratch) const override {
    std::string bytes;
    std::vector<Origin> origins;  // of the bytes
    for (const auto& [value, origin] : text) {
      append_utf8(bytes, value);
      origins.resize(bytes.size(), origin);
    }
    AlignedText to;
    append(bytes, 0, to, scratch);
    text.clear();
    for (size_t at = 0; at < to.bytes.size();) {
      const auto [begin, end] = to.origins[at];
      const Origin from = origins[begin];  // a text without characters gives none
      const Origin origin = begin < end ? Origin{from.begin, origins[end - 1].end} : Origin{from.begin, from.begin};
      text.push_back({next_character(to.bytes, at), origin});
    }
  }

 private:
  // What the beginning of a text that is not empty becomes, and the bytes that it has.
  std::string_view begin_of(std::string_view text, size_t& length) const {
    length = 0;
    uint32_t node = DoubleArray::kRoot;
    for (size_t i = 0; i < text.size(); ++i) {
      node = kept_.step(node, static_cast<unsigned char>(text[i]));
      if (node == DoubleArray::kNone) break;
      if (kept_.value(node) >= 0) length = i + 1;
    }
    if (length > 0) return text.substr(0, length);
    if (map_) {
      if (const auto with = map_->longest(text, length)) return *with;
    }
    next_character(text, length);
    return text.substr(0, length);
  }

  SentencePieceRules rules_;
  std::optional<Charsmap> map_;
  DoubleArray kept_;
};

// Python's str.strip().
std::string_view stripped(std::string_view text) {
  const auto is_space = [](std::string_view from) {
    size_t at = 0;
    const char32_t c = next_character(from, at);
    return PropertyTable::get()[c].space() || (c >= 0x1C && c <= 0x1F);
  };
  while (!text.empty() && is_space(text)) {
    size_t at = 0;
    next_character(text, at);
    text.remove_prefix(at);
  }
  while (!text.empty()) {
    const size_t last = previous_begin(text, text.size());
    if (!is_space(text.substr(last))) break;
    text = text.substr(0, last);
  }
  return text;
}

void append_with_spaces(std::string& text, std::string_view piece) {
  for (size_t at = 0; at < piece.size();) {
    const size_t found = std::min(piece.find(kMark, at), piece.size());
    text += piece.substr(at, found - at);
    if (found < piece.size()) text += ' ';
    at = found + kMark.size();
  }
}

class SentencePieceDecoder final : public Decoder {
 public:
  SentencePieceDecoder(const SentencePieceFile& file, const SentencePieceDecoding& options)
      : options_(options),
        skips_mark_(file.normalizer.add_dummy_prefix || file.normalizer.remove_extra_whitespaces),
        skips_all_(file.normalizer.remove_extra_whitespaces),
        unknown_(file.pieces[static_cast<size_t>(file.unknown)].text),
        unknown_surface_(file.unknown_surface) {
    for (const auto& [text, score, type] : file.pieces) {
      const bool plain = type == PieceType::kNormal || type == PieceType::kUserDefined || type == PieceType::kUnused;
      // Of a control piece and a piece of text that are spelled alike, the control piece counts.
      if (plain) {
        types_.emplace(text, type);
      } else {
        types_.insert_or_assign(text, type);
      }
    }
    if (!file.denormalizer.charsmap.empty()) {
      denormalizer_ = std::make_unique<SentencePieceNormalizer>(file.denormalizer, "denormalizer_spec",
                                                                std::vector<std::pair<std::string_view, int32_t>>{});
    }
  }

  void apply(std::vector<std::string>& tokens) const override {
    std::string text, bytes;
    bool at_begin = true, skipped = false;
    for (const std::string& token : tokens) {
      const auto found = types_.find(token);
      const PieceType type = found == types_.end() ? PieceType::kUnknown : found->second;
      if (type == PieceType::kByte) {
        bytes += static_cast<char>(*byte_of_token(token));
        continue;
      }
      append_bytes(text, bytes);
      if (skipped || !text.empty()) at_begin = false;
      skipped = false;
      if (type == PieceType::kControl) continue;
      if (type == PieceType::kUnknown) {
        text += token == unknown_ ? unknown_surface_ : token;
        continue;
      }
      std::string_view piece = token;
      if (at_begin && skips_mark_ && piece.starts_with(kMark)) {
        piece.remove_prefix(kMark.size());
        skipped = !skips_all_;  // otherwise the marks of further pieces go too
      }
      append_with_spaces(text, piece);
    }
    append_bytes(text, bytes);
    if (denormalizer_) {
      AlignedText to;
      NormalizerScratch scratch;
      denormalizer_->append(text, 0, to, scratch);
      text = std::move(to.bytes);
    }
    if (options_.marks_to_spaces) {
      std::string spaced;
      append_with_spaces(spaced, text);
      text = std::move(spaced);
    }
    tokens = {options_.strip ? std::string(stripped(text)) : std::move(text)};
  }

 private:
  // A byte that begins no character becomes U+FFFD.
  static void append_bytes(std::string& text, std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const size_t begin = at;
      if (decode_utf8(bytes, at)) {
        text.append(bytes, begin, at - begin);
      } else {
        text += kReplacementCharacter;
        at = begin + 1;
      }
    }
    bytes.clear();
  }

  SentencePieceDecoding options_;
  bool skips_mark_, skips_all_;
  std::string unknown_, unknown_surface_;
  std::unordered_map<std::string, PieceType> types_;
  std::unique_ptr<Normalizer> denormalizer_;
};

}  // namespace

std::unique_ptr<Normalizer> sentencepiece_normalizer(const SentencePieceFile& file) {
  std::vector<std::pair<std::string_view, int32_t>> kept;
  for (size_t id = 0; id < file.pieces.size(); ++id) {
    if (file.pieces[id].type != PieceType::kUserDefined) continue;
    kept.emplace_back(file.pieces[id].text, static_cast<int32_t>(id));
  }
  return std::make_unique<SentencePieceNormalizer>(file.normalizer, "normalizer_spec", std::move(kept));
}

std::unique_ptr<Decoder> sentencepiece_decoder(const SentencePieceFile& file, const SentencePieceDecoding& options) {
  return std::make_unique<SentencePieceDecoder>(file, options);
}

}  // namespace qing::nn::text
