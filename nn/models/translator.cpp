#include <qing/nn/models/translator.h>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include <qing/nn/layers/linear.h>
#include <qing/nn/models/model_error.h>
#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/sentence_ends.h>
#include <qing/nn/models/translation_import.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr int64_t kOwnBeams = 4;
constexpr size_t kFewestTokensOfPiece = 4;
constexpr size_t kBytesOfToken = 16;  // far more than most tokens have

std::string joined_names(const std::vector<TranslationDirection>& directions) {
  std::string names;
  for (const TranslationDirection& each : directions) names += (names.empty() ? "" : ", ") + name_of(each);
  return names;
}

// The bytes that the first n characters of `whole` have in common with `part`.
size_t common_bytes(std::string_view whole, std::string_view part) {
  const auto [a, b] = std::ranges::mismatch(whole, part);
  auto bytes = static_cast<size_t>(a - whole.begin());
  while (bytes > 0 && bytes < whole.size() && (static_cast<unsigned char>(whole[bytes]) & 0xC0U) == 0x80U) --bytes;
  return bytes;
}

std::string_view first_characters(std::string_view text, size_t bytes) {
  if (bytes >= text.size()) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  return text.substr(0, bytes);
}

DecodingOptions own_options() { return {.beam_size = kOwnBeams}; }

}  // namespace

Translator::Translator(std::unique_ptr<TranslationModel> model, Tokenizer tokenizer,
                       std::vector<TranslationDirection> directions, DecodingOptions options, DType precision,
                       LanguageTokens languages)
    : model_(std::move(model)),
      tokenizer_(std::move(tokenizer)),
      directions_(std::move(directions)),
      options_(std::move(options)),
      weight_bytes_(bytes_with_copies(*model_)),
      precision_(precision),
      languages_(std::move(languages)) {}

std::shared_ptr<const Translator> Translator::load(const std::filesystem::path& folder, DType precision) {
  constexpr int32_t kUncut = std::numeric_limits<int32_t>::max();
  if (is_pretrained_translation(folder)) {
    PretrainedTranslation loaded = load_pretrained_translation(folder);
    Tokenizer tokenizer = Tokenizer::load(folder).limited(kUncut);
    if (tokenizer.vocab_size() > loaded.model->config().vocab_size) {
      throw DataError(fmt::format("{}: vocab_size: is {}, but the tokenizer has {} entries",
                                  (folder / kConfigFile).string(), loaded.model->config().vocab_size,
                                  tokenizer.vocab_size()));
    }
    pack_for_inference(*loaded.model, precision);
    loaded.options.best = 1;  // a translation is the best sequence of its pieces
    return std::make_shared<Translator>(std::move(loaded.model), std::move(tokenizer),
                                        std::vector<TranslationDirection>{}, loaded.options, precision,
                                        read_language_tokens(folder));
  }
  TranslationFolder own = load_translation_model(folder);
  pack_for_inference(*own.model, precision);
  return std::make_shared<Translator>(std::move(own.model), own.tokenizer.limited(kUncut), std::move(own.directions),
                                      own_options(), precision);
}

TranslationDirection Translator::direction(std::string_view from, std::string_view to) const {
  if (languages_.use == LanguageTokens::Use::kBoth) {
    TranslationDirection chosen{from.empty() ? languages_.source : std::string(from),
                                to.empty() ? languages_.target : std::string(to)};
    language_id(chosen.from);
    if (!chosen.to.empty()) {
      language_id(chosen.to);
    } else if (!options_.forced_bos) {
      throw ValueError(fmt::format("give the language to translate to; the model has {}", languages_.names()));
    }
    return chosen;
  }
  if (directions_.empty()) {
    if (!from.empty()) {
      throw ValueError("the model's folder does not say which languages it reads; leave the source language out");
    }
    TranslationDirection any{std::string(from), std::string(to)};
    tags(any);  // refuses a language without a token
    return any;
  }
  std::vector<TranslationDirection> fitting;
  for (const TranslationDirection& each : directions_) {
    if ((from.empty() || each.from == from) && (to.empty() || each.to == to)) fitting.push_back(each);
  }
  if (fitting.size() == 1) return fitting.front();
  throw ValueError(
      fitting.empty()
          ? fmt::format("the model does not translate in this direction; it has {}", joined_names(directions_))
          : fmt::format("give the language to translate to; the model has {}", joined_names(directions_)));
}

int32_t Translator::language_id(std::string_view language) const {
  const int32_t id = languages_.find(language);
  if (id >= 0) return id;
  throw ValueError(languages_.tokens.empty() ? fmt::format("the model has no token for the language '{}'", language)
                                             : fmt::format("the model has no token for the language '{}'; it has {}",
                                                           language, languages_.names()));
}

Translator::Tags Translator::tags(const TranslationDirection& direction) const {
  if (languages_.use == LanguageTokens::Use::kBoth) return {{}, languages_.find(direction.from)};
  if (direction.to.empty()) return {};
  if (languages_.use == LanguageTokens::Use::kTarget) return {{language_id(direction.to)}, -1};
  const std::string token = language_token(direction.to);
  const int32_t id = tokenizer_.id(token);
  if (id >= 0 && tokenizer_.token(id) == token) return {{id}, -1};
  if (directions_.empty()) language_id(direction.to);  // refuses it
  return {};
}

Encoding Translator::encode(std::string_view text, const Tags& tags) const {
  Encoding encoded = tokenizer_.encode(text);
  if (tags.source >= 0) (languages_.source_last ? encoded.ids.back() : encoded.ids.front()) = tags.source;
  return encoded;
}

// Adds bytes [begin, end) of the text, which have no white space around them and are one line.
void Translator::add_line(std::string_view text, size_t begin, size_t end, const Tags& tags, int64_t room,
                          TranslationPlan& plan) const {
  const std::string_view line = text.substr(begin, end - begin);
  // A long line is cut by its first bytes, so that it is not encoded as often as it is cut.
  const std::string_view first = first_characters(line, static_cast<size_t>(room) * kBytesOfToken);
  Encoding encoded = encode(first, tags);
  const size_t behind = languages_.source_last ? 1 : 0;  // the end token
  const auto ends_with_end = [&](const Encoding& each) {
    const auto size = each.ids.size();
    return size > behind && each.ids[size - 1 - behind] == model_->config().eos_id;
  };
  const auto tokens_of = [&](const Encoding& each) {
    return std::ssize(each.ids) + std::ssize(tags.target) + (ends_with_end(each) ? 0 : 1);
  };
  if (first.size() < line.size() && tokens_of(encoded) <= room) encoded = encode(line, tags);
  const bool ends = ends_with_end(encoded);
  const int64_t tokens = tokens_of(encoded);
  if (tokens > room) {
    const size_t cut =
        place_to_cut(line, encoded.offsets,
                     static_cast<size_t>(std::max<int64_t>(room - std::ssize(tags.target) - 2, kFewestTokensOfPiece)));
    const auto [first_end, second_begin] = without_white_space(line, cut);
    if (first_end > 0 && second_begin < line.size()) {
      add_line(text, begin, begin + first_end, tags, room, plan);
      const size_t next = plan.pieces.size();
      add_line(text, begin + second_begin, end, tags, room, plan);
      if (next < plan.pieces.size()) plan.pieces[next].same_line = true;
      return;
    }
    throw DataError(fmt::format("a part of {} bytes has {} tokens; the model takes {}", line.size(), tokens, room));
  }
  TranslationPlan::Piece piece{
      .begin = begin, .end = end, .ids = tags.target, .ranges = TextRanges(tags.target.size()), .before = ""};
  for (size_t i = 0; i < encoded.ids.size(); ++i) {
    piece.ids.push_back(encoded.ids[i]);
    const auto [from, to] = encoded.offsets[i];
    piece.ranges.emplace_back(from == to ? 0 : begin + from, from == to ? 0 : begin + to);
  }
  if (!ends) piece.ids.push_back(model_->config().eos_id), piece.ranges.emplace_back();
  plan.pieces.push_back(std::move(piece));
}

TranslationPlan Translator::plan(std::string_view text, const TranslationDirection& direction,
                                 const DecodingOptions& options) const {
  options.validate();
  if (const std::optional<size_t> bad = find_invalid_utf8(text)) {
    throw DataError(fmt::format("byte {} is not UTF-8", *bad));
  }
  TranslationPlan plan{.pieces = {}, .after = "", .options = options};
  const Tags front = tags(direction);
  if (languages_.use == LanguageTokens::Use::kBoth && !direction.to.empty()) {
    plan.options.forced_bos = language_id(direction.to);
  }
  std::string space;
  for (size_t begin = 0; begin < text.size();) {
    const size_t found = text.find('\n', begin), end = found == text.npos ? text.size() : found;
    size_t first = begin, last = end;
    while (first < last && is_ascii_space(text[first])) ++first;
    while (last > first && is_ascii_space(text[last - 1])) --last;
    space += text.substr(begin, first - begin);
    if (first < last) {
      const size_t next = plan.pieces.size();
      add_line(text, first, last, front, model_->config().max_tokens, plan);
      plan.pieces[next].before = std::exchange(space, "");
    }
    space += text.substr(last, end - last);
    if (found != text.npos) space += '\n';
    begin = end + 1;
  }
  plan.after = std::move(space);
  return plan;
}

TextAlignment Translator::alignment(const TranslationPlan::Piece& piece, const DecodedSequence& sequence, size_t at,
                                    std::string_view text) const {
  TextAlignment result;
  std::vector<size_t> columns;
  for (size_t j = 0; j < piece.ranges.size(); ++j) {
    if (piece.ranges[j].first == piece.ranges[j].second) continue;
    columns.push_back(j);
    result.source.push_back(piece.ranges[j]);
  }
  const Tensor& weights = sequence.alignment;
  size_t written = 0;
  for (size_t i = 0; i < sequence.tokens.size(); ++i) {
    const std::string so_far = tokenizer_.decode(std::span(sequence.tokens).first(i + 1));
    const size_t end = std::max(written, common_bytes(text, so_far));
    if (end == written) continue;
    result.target.emplace_back(at + written, at + end);
    for (const size_t j : columns) {
      result.weights.push_back(
          weights.data<float>()[static_cast<int64_t>(i) * weights.size(1) + static_cast<int64_t>(j)]);
    }
    written = end;
  }
  return result;
}

void TranslationPlan::Piece::append_to(std::string& text, std::string_view translation) const {
  text += before;
  if (same_line && are_spaced(text, translation)) text += ' ';
  text += translation;
}

Translation Translator::join(const TranslationPlan& plan, std::span<const DecodedSequence> pieces) const {
  Translation result;
  for (size_t i = 0; i < plan.pieces.size(); ++i) {
    const TranslationPlan::Piece& piece = plan.pieces[i];
    const std::string text = tokenizer_.decode(pieces[i].tokens);
    piece.append_to(result.text, text);
    if (pieces[i].alignment.defined()) {
      result.alignments.push_back(alignment(piece, pieces[i], result.text.size() - text.size(), text));
    }
    result.score += pieces[i].score / static_cast<double>(plan.pieces.size());
    result.tokens += std::ssize(pieces[i].tokens);
    result.complete = result.complete && pieces[i].ended;
  }
  result.text += plan.after;
  return result;
}

std::vector<Translation> Translator::translate(std::span<const std::string> texts,
                                               const TranslationDirection& direction, const DecodingOptions& options,
                                               int64_t max_rows,
                                               const std::function<std::string(size_t)>& name_of) const {
  const auto name = [&name_of](size_t i) { return name_of ? name_of(i) : fmt::format("text {}", i); };
  std::vector<TranslationPlan> plans;
  std::vector<DecodingRequest> requests;
  for (size_t i = 0; i < texts.size(); ++i) {
    try {
      plans.push_back(plan(texts[i], direction, options));
    } catch (const DataError& error) { throw DataError(fmt::format("{}: {}", name(i), error.what())); }
    for (const TranslationPlan::Piece& piece : plans.back().pieces)
      requests.push_back({piece.ids, plans.back().options});
  }
  std::vector<DecodingResult> results = decode(*model_, requests, max_rows);
  std::vector<Translation> translations;
  size_t next = 0;
  for (size_t i = 0; i < plans.size(); ++i) {
    std::vector<DecodedSequence> pieces;
    for (size_t p = 0; p < plans[i].pieces.size(); ++p) {
      DecodingResult& result = results[next++];
      if (!result.error.empty()) throw ModelError(fmt::format("{}: {}", name(i), result.error));
      pieces.push_back(std::move(result.sequences.front()));
    }
    translations.push_back(join(plans[i], pieces));
  }
  return translations;
}

std::vector<TensorDescription> Translator::inputs() const { return {{"text", "BYTES", {-1}}}; }
std::vector<TensorDescription> Translator::outputs() const { return {{"translation", "BYTES", {-1}}}; }

bool Translator::can_replace(const TaskModel& other) const {
  const auto* const before = dynamic_cast<const Translator*>(&other);
  if (before == nullptr) return false;
  return std::ranges::all_of(before->directions_, [&](const TranslationDirection& each) {
    return directions_.empty() || std::ranges::find(directions_, each) != directions_.end();
  });
}

std::string Translator::answer_kind() const {
  return directions_.empty() ? "translations" : "the directions " + joined_names(directions_);
}

void Translator::try_out() const {
  const std::string text = "a";
  DecodingOptions options = options_;
  options.max_tokens = 2;
  options.min_tokens = 0;
  const TranslationDirection first = directions_.empty() ? TranslationDirection{} : directions_.front();
  translate(std::span(&text, 1), first, options);
}

}  // namespace qing::nn
