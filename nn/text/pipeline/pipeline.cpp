#include <qing/nn/text/pipeline/pipeline.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <tuple>

#include <qing/nn/text/pipeline/unicode_properties.h>
#include <qing/nn/text/pipeline/word_cache.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

constexpr size_t kMostTextBytes = size_t{1} << 28;

std::atomic<uint64_t> serials{0};

// Memory that a thread reuses for the next text.
struct Workspace {
  std::vector<Piece> raw;
  PieceText pieces;
  NormalizerScratch normalizer;
  PreTokenizerScratch pre_tokenizer;
  std::vector<Token> tokens;

  // A long text does not keep its memory for ever.
  void shrink() {
    if (pieces.text.bytes.capacity() > kMostKept || normalizer.text.capacity() > kMostKept) *this = {};
  }
  static constexpr size_t kMostKept = 1 << 20;
};

uint32_t spaces_in_front(std::string_view shown) {
  uint32_t count = 0;
  for (size_t at = 0; at < shown.size(); ++count) {
    const char32_t c = next_character(shown, at);
    if (c != 0x120 && !PropertyTable::get()[c].space()) break;  // U+0120 stands for the byte of a space
  }
  return count;
}

uint32_t spaces_behind(std::string_view shown) {
  uint32_t count = 0;
  for (size_t end = shown.size(); end > 0; ++count) {
    end = previous_begin(shown, end);
    size_t at = end;
    const char32_t c = next_character(shown, at);
    if (c != 0x120 && !PropertyTable::get()[c].space()) break;
  }
  return count;
}

}  // namespace

Pipeline::Pipeline(PipelineParts parts) : parts_(std::move(parts)), serial_(++serials) {
  parts_.added.finish(parts_.normalizer.get(), parts_.split_special_tokens);
}

void Pipeline::tokenize(std::string_view text, size_t most, TokenSequence& tokens) const {
  tokens.clear();
  if (text.size() > kMostTextBytes) {
    throw ValueError(
        fmt::format("tokenizer: the text has {} bytes; at most {} are taken", text.size(), kMostTextBytes));
  }
  if (const auto at = find_invalid_utf8(text)) {
    throw DataError(fmt::format("invalid UTF-8 at byte {}; save the text as UTF-8", *at));
  }
  thread_local Workspace work;
  work.raw.clear();
  PieceText& pieces = work.pieces;
  pieces.clear();
  if (parts_.added.looks_for(false)) {
    parts_.added.split(text, 0, static_cast<uint32_t>(text.size()), false, work.raw);
  } else if (!text.empty()) {
    work.raw.push_back({0, static_cast<uint32_t>(text.size())});
  }
  const bool normalized = parts_.added.looks_for(true);
  for (const Piece& raw : work.raw) {
    const uint32_t begin = pieces.text.size();
    const std::string_view part = text.substr(raw.begin, raw.end - raw.begin);
    if (raw.id >= 0 || !parts_.normalizer) {
      pieces.text.append_original(part, raw.begin);
    } else {
      parts_.normalizer->append(part, raw.begin, pieces.text, work.normalizer);
    }
    const uint32_t end = pieces.text.size();
    if (raw.id < 0 && normalized) {
      parts_.added.split(pieces.text.bytes, begin, end, true, pieces.pieces);
    } else if (begin < end) {
      pieces.pieces.push_back({begin, end, raw.id});
    }
  }
  if (parts_.pre_tokenizer) parts_.pre_tokenizer->apply(pieces, work.pre_tokenizer);

  const bool keeps = parts_.model->keeps_words();
  WordCache* cache = keeps ? &WordCache::of_thread(serial_) : nullptr;
  const bool trims = !parts_.post_processing.trims.empty();
  const std::vector<Origin>& origins = pieces.text.origins;
  const auto put = [&](int32_t id, uint32_t begin, uint32_t end, bool added) {
    tokens.ids.push_back(id);
    if (begin < end && end <= origins.size()) {
      tokens.offsets.emplace_back(origins[begin].begin, origins[end - 1].end);
    } else {
      tokens.offsets.emplace_back(0, 0);
    }
    if (!trims) return;
    const std::string_view word = pieces.text.view(begin, end);
    const std::string_view shown = added ? word : parts_.model->shown(id, word);
    tokens.spaces.emplace_back(spaces_in_front(shown), spaces_behind(shown));
  };
  for (const Piece& piece : pieces.pieces) {
    if (tokens.ids.size() > most) break;
    if (piece.id >= 0) {
      put(piece.id, piece.begin, piece.end, true);
      continue;
    }
    const std::string_view word = pieces.text.view(piece.begin, piece.end);
    work.tokens.clear();
    if (cache != nullptr) {
      cache->tokenize(word, *parts_.model, work.tokens);
    } else {
      parts_.model->tokenize(word, work.tokens);
    }
    for (const auto& [id, begin, end] : work.tokens) put(id, piece.begin + begin, piece.begin + end, false);
  }
  work.shrink();
}

Encoding Pipeline::assemble(const TokenSequence (&sequences)[2], const std::string_view (&texts)[2],
                            const Window (&kept)[2], bool is_pair) const {
  const PostProcessing& post = parts_.post_processing;
  TokenSequence trimmed[2];
  const TokenSequence* from[2] = {&sequences[0], &sequences[1]};
  if (!post.trims.empty()) {
    for (int i = 0; i < (is_pair ? 2 : 1); ++i) {
      trimmed[i] = sequences[i];
      for (const bool spaced : post.trims) trim_offsets(texts[i], spaced, kept[i].begin, kept[i].end, trimmed[i]);
      from[i] = &trimmed[i];
    }
  }
  Encoding encoding;
  size_t total = post.added(is_pair);
  for (const Window& window : kept) total += window.end - window.begin;
  encoding.ids.reserve(total);
  encoding.offsets.reserve(total);
  encoding.type_ids.reserve(total);
  for (const PostProcessing::Part& part : is_pair ? post.pair : post.single) {
    const size_t before = encoding.ids.size();
    int32_t type = part.type;
    if (part.sequence >= 0) {
      const TokenSequence& tokens = *from[part.sequence];
      if (kept[part.sequence].overflow && !post.types_of_overflow) type = part.sequence;
      const auto begin = static_cast<std::ptrdiff_t>(kept[part.sequence].begin);
      const auto end = static_cast<std::ptrdiff_t>(kept[part.sequence].end);
      encoding.ids.insert(encoding.ids.end(), tokens.ids.begin() + begin, tokens.ids.begin() + end);
      encoding.offsets.insert(encoding.offsets.end(), tokens.offsets.begin() + begin, tokens.offsets.begin() + end);
    } else {
      encoding.ids.insert(encoding.ids.end(), part.ids.begin(), part.ids.end());
      encoding.offsets.resize(encoding.ids.size(), {0, 0});
    }
    encoding.type_ids.insert(encoding.type_ids.end(), encoding.ids.size() - before, type);
  }
  return encoding;
}

std::pair<std::vector<Window>, std::vector<Window>> Pipeline::cut(size_t first, std::optional<size_t> second) const {
  const auto& truncation = parts_.truncation;
  const size_t added = parts_.post_processing.added(second.has_value());
  // A limit below the special tokens cuts nothing, as in `tokenizers`.
  if (!truncation || truncation->max_length < added) return {{{0, first}}, {{0, second.value_or(0)}}};
  return truncate(first, second, truncation->max_length - added, *truncation);
}

Encoding Pipeline::encode(std::string_view text, std::optional<std::string_view> second) const {
  // If the end of the text is cut off, tokens behind the limit need not be computed.
  const auto& truncation = parts_.truncation;
  const bool end_only = truncation && !second && truncation->side == Side::kRight;
  TokenSequence sequences[2];
  tokenize(text, end_only ? truncation->max_length : kAll, sequences[0]);
  if (second) tokenize(*second, kAll, sequences[1]);
  const std::string_view texts[2] = {text, second.value_or(std::string_view())};
  const auto [first, other] =
      cut(sequences[0].ids.size(), second ? std::optional(sequences[1].ids.size()) : std::nullopt);
  Encoding encoding = assemble(sequences, texts, {first.front(), other.front()}, second.has_value());
  encoding.truncated = first.size() > 1 || other.size() > 1;
  return encoding;
}

std::vector<Encoding> Pipeline::windows(std::string_view text, std::optional<std::string_view> second) const {
  TokenSequence sequences[2];
  tokenize(text, kAll, sequences[0]);
  if (second) tokenize(*second, kAll, sequences[1]);
  const std::string_view texts[2] = {text, second.value_or(std::string_view())};
  const auto cuts = cut(sequences[0].ids.size(), second ? std::optional(sequences[1].ids.size()) : std::nullopt);
  const auto& first = cuts.first;
  const auto& other = cuts.second;
  std::vector<Encoding> result;
  const auto put = [&](const Window& a, const Window& b) {
    result.push_back(assemble(sequences, texts, {a, b}, second.has_value()));
    result.back().truncated = first.size() > 1 || other.size() > 1;
  };
  put(first[0], other[0]);
  for (size_t i = 1; i < first.size(); ++i) {
    for (const Window& window : other) put(first[i], window);
  }
  for (size_t i = 1; i < other.size(); ++i) put(first[0], other[i]);
  return result;
}

std::string Pipeline::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  for (const int32_t id : ids) {
    const bool added = parts_.added.token(id) != nullptr;
    if (!added && !parts_.model->vocabulary().has(id)) continue;
    std::string token(added ? parts_.added.shown(id) : parts_.model->vocabulary().text(id));
    if (skip_special_tokens && parts_.added.is_special(token)) continue;
    tokens.push_back(std::move(token));
  }
  if (tokens.empty()) return {};
  if (!parts_.decoder) return fmt::format("{}", fmt::join(tokens, " "));
  parts_.decoder->apply(tokens);
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

int32_t Pipeline::id(std::string_view token) const { return parts_.id(token); }

std::string Pipeline::token(int32_t id) const {
  const AddedToken* added = parts_.added.token(id);
  return added != nullptr ? added->content : parts_.model->vocabulary().text(id);
}

int32_t Pipeline::id_end() const { return std::max(parts_.added.id_end(), parts_.model->vocabulary().id_end()); }

}  // namespace qing::nn::text
