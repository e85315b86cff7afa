#include <qing/nn/text/transformers_folder.h>

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include <qing/nn/text/pipeline/pipeline_reader.h>
#include <qing/nn/text/tokenizer_options.h>
#include <qing/nn/text/translation_tokenizers.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

namespace fs = std::filesystem;

// A token a line; the line is the id. Of equal lines the last counts, as in Python's dictionary. A line ends with "\n",
// "\r\n" or "\r".
Vocabulary read_vocab_file(const fs::path& path, const std::string& content) {
  if (const auto at = find_invalid_utf8(content)) {
    throw DataError(fmt::format("{}: invalid UTF-8 at byte {}", path.string(), *at));
  }
  if (without_byte_order_mark(content).size() != content.size()) {
    throw DataError(path.string() +
                    ": begins with a byte order mark, which would be part of the first token; "
                    "save the file as UTF-8 without one");
  }
  Vocabulary vocabulary;
  int32_t id = 0;
  try {
    for (size_t begin = 0; begin < content.size(); ++id) {
      const size_t end = std::min(content.find_first_of("\r\n", begin), content.size());
      vocabulary.add(std::string_view(content).substr(begin, end - begin), id);
      begin = end + (content.compare(end, 2, "\r\n") == 0 ? 2 : 1);
    }
    vocabulary.check();
  } catch (const DataError& error) { throw DataError(path.string() + ": " + error.what()); }
  return vocabulary;
}

// Builds the stages of one of the classes that do so themselves.
class Builder {
 public:
  Builder(const FolderFiles& files, const TokenizerSettings& settings, const JsonFile* tokenizer)
      : files_(files), settings_(settings), tokenizer_(tokenizer) {}

  // What translation models have beside run()'s stages.
  LanguageTokens languages() { return std::move(languages_); }
  PipelineParts run() {
    switch (settings_.tokenizer_class) {
      case TokenizerClass::kFile: parts_ = read_pipeline(tokenizer_->cursor(), tokenizer_->text()); break;
      case TokenizerClass::kBert:
      case TokenizerClass::kMpnet: bert(); break;
      case TokenizerClass::kRoberta: roberta(); break;
      case TokenizerClass::kXlmRoberta: xlm_roberta(); break;
      case TokenizerClass::kAlbert: albert(); break;
      default: {
        TranslationTokenizer built = translation_tokenizer(files_, settings_, tokenizer_);
        parts_ = std::move(built.parts);
        languages_ = std::move(built.languages);
      }
    }
    // ALBERT's special tokens get their ids before others are added.
    const bool early = settings_.tokenizer_class == TokenizerClass::kAlbert;
    if (early) surround();
    add_tokens();
    if (!early) surround();
    parts_.split_special_tokens = settings_.split_special_tokens;
    return std::move(parts_);
  }

 private:
  std::string place() const {
    const bool pieces = tokenizer_ == nullptr && is_translation(settings_.tokenizer_class);
    return pieces ? files_.directory().string()
                  : files_.path(tokenizer_ != nullptr ? kTokenizerFile : kVocabFile).string();
  }
  const std::string& name(NamedToken which) const { return name_of(which, settings_, files_); }
  int32_t id(NamedToken which) const {
    const std::string& text = name(which);
    const int32_t found = parts_.id(text);
    if (found < 0) {
      throw DataError(
          fmt::format("{}: {} '{}' is not in the vocabulary", place(), kTokenNames[static_cast<size_t>(which)], text));
    }
    return found;
  }
  const JsonFile& tokenizer() const {
    if (tokenizer_ == nullptr)
      throw IoError(fmt::format("{}: holds no {}", files_.directory().string(), kTokenizerFile));
    return *tokenizer_;
  }
  JsonCursor model() const { return tokenizer().cursor()["model"]; }

  void bert() {
    Vocabulary vocabulary = tokenizer_ != nullptr ? read_vocabulary(model()["vocab"])
                                                  : read_vocab_file(files_.path(kVocabFile), files_.text(kVocabFile));
    try {
      parts_.model = wordpiece_model(std::move(vocabulary), {.unknown = name(NamedToken::kUnk)});
    } catch (const DataError& error) { throw DataError(place() + ": " + error.what()); }
    parts_.normalizer = bert_normalizer({.clean_text = true,
                                         .handle_chinese_chars = settings_.tokenize_chinese_chars,
                                         .strip_accents = settings_.strip_accents,
                                         .lowercase = settings_.do_lower_case});
    parts_.pre_tokenizer = bert_pre_tokenizer();
    parts_.decoder = wordpiece_decoder("##", true);
  }

  void roberta() {
    const JsonCursor stage = model();
    parts_.model =
        stage.at_place([&] { return bpe_model(read_vocabulary(stage["vocab"]), read_merges(stage["merges"]), {}); });
    parts_.pre_tokenizer = byte_level_pre_tokenizer(settings_.add_prefix_space.value_or(false), true);
    parts_.decoder = byte_level_decoder();
  }

  // Python reads the scores to the nearest double.
  void unigram(int32_t unknown) {
    const JsonCursor stage = model();
    parts_.model = stage.at_place([&] {
      return unigram_model(read_pieces(stage["vocab"], tokenizer().text(), Rounding::kNearest), unknown, false);
    });
    const bool prefixed = settings_.add_prefix_space.value_or(true);
    const PrependScheme scheme = prefixed ? PrependScheme::kAlways : PrependScheme::kNever;
    constexpr char32_t kMark = 0x2581;
    std::vector<std::unique_ptr<PreTokenizer>> stages;
    stages.push_back(white_space_pre_tokenizer());
    stages.push_back(metaspace_pre_tokenizer(kMark, scheme, true));
    parts_.pre_tokenizer = pre_tokenizer_sequence(std::move(stages));
    parts_.decoder = metaspace_decoder(kMark, prefixed);
  }

  void xlm_roberta() {
    unigram(3);
    parts_.normalizer = charsmap_of(tokenizer().cursor());
  }

  void albert() {
    unigram(1);
    std::vector<std::unique_ptr<Normalizer>> stages;
    stages.push_back(replace_normalizer(TextPattern::literal("``"), "\""));
    stages.push_back(replace_normalizer(TextPattern::literal("''"), "\""));
    if (!settings_.keep_accents) {
      stages.push_back(form_normalizer(Form::kNfkd));
      stages.push_back(strip_accents_normalizer());
    }
    if (settings_.do_lower_case) stages.push_back(lowercase_normalizer());
    if (auto map = charsmap_of(tokenizer().cursor())) stages.push_back(std::move(map));
    parts_.normalizer = normalizer_sequence(std::move(stages));
  }

  void surround() {
    switch (settings_.tokenizer_class) {
      case TokenizerClass::kFile: break;
      case TokenizerClass::kBert:
      case TokenizerClass::kAlbert:
        parts_.post_processing = bert_processing(id(NamedToken::kCls), id(NamedToken::kSep));
        break;
      case TokenizerClass::kXlmRoberta:
        parts_.post_processing = roberta_processing(id(NamedToken::kBos), id(NamedToken::kEos));
        parts_.post_processing.types_of_overflow = false;  // a template's, not RoBERTa's
        break;
      case TokenizerClass::kRoberta:
      case TokenizerClass::kMpnet: {
        const bool roberta = settings_.tokenizer_class == TokenizerClass::kRoberta;
        parts_.post_processing = roberta_processing(id(NamedToken::kCls), id(NamedToken::kSep));
        if (!roberta || settings_.trim_offsets) {
          parts_.post_processing.trims.push_back(roberta && settings_.add_prefix_space.value_or(false));
        }
        break;
      }
      default: parts_.post_processing = translation_processing();
    }
  }

  // The end token behind a text, and the token of the source's language in front of it or behind both.
  PostProcessing translation_processing() const {
    std::vector<int32_t> front, end{id(NamedToken::kEos)};
    const int32_t source =
        languages_.use == LanguageTokens::Use::kBoth ? languages_.find(languages_.source) : int32_t{-1};
    if (source >= 0) (languages_.source_last ? end : front).push_back(source);
    const bool ends_both = settings_.tokenizer_class == TokenizerClass::kT5;
    return {
        .single = {{-1, front, 0}, {0, {}, 0}, {-1, end, 0}},
        .pair = {
            {-1, front, 0}, {0, {}, 0}, {-1, ends_both ? end : std::vector<int32_t>{}, 0}, {1, {}, 0}, {-1, end, 0}}};
  }

  // First the added tokens that are not there yet, then named and other special tokens that are none of them.
  void add_tokens() {
    std::vector<AddedToken> tokens;
    std::set<std::string_view> named_texts, listed;
    for (const auto& named : settings_.named) {
      if (named) named_texts.insert(named->token.content);
    }
    for (const auto& entry : parts_.added.entries()) listed.insert(entry.token.content);
    for (const auto& [_, token] : settings_.added) {
      const AddedToken* same = parts_.added.token(parts_.added.find(token.content));
      if (same != nullptr && *same == token) continue;
      listed.insert(token.content);
      tokens.push_back(token);
      if (named_texts.count(token.content) > 0) tokens.back().special = true;
    }
    const bool mask_takes_space =
        settings_.tokenizer_class == TokenizerClass::kMpnet || is_translation(settings_.tokenizer_class);
    for (size_t i = 0; i < settings_.named.size(); ++i) {
      const auto& named = settings_.named[i];
      if (!named || !listed.insert(named->token.content).second) continue;
      tokens.push_back(named->as_special());
      // The mask of MPNet, mBART and NLLB takes the space in front of it along.
      if (mask_takes_space && named->plain && i == static_cast<size_t>(NamedToken::kMask)) tokens.back().lstrip = true;
    }
    for (const TokenSetting& extra : settings_.extra) {
      if (!listed.insert(extra.token.content).second) continue;
      tokens.push_back(extra.plain ? extra.as_special() : extra.token);
    }
    parts_.added.add(tokens, *parts_.model);
  }

  const FolderFiles& files_;
  const TokenizerSettings& settings_;
  const JsonFile* tokenizer_;
  PipelineParts parts_;
  LanguageTokens languages_;
};

// Whether the normalizer is or has the stage Lowercase; a flag of another stage does not count.
bool lowercases(const TokenizerSettings& settings, const JsonFile* file) {
  if (settings.tokenizer_class == TokenizerClass::kAlbert) return settings.do_lower_case;
  if (settings.tokenizer_class != TokenizerClass::kFile) return false;
  const auto normalizer = file->cursor().present("normalizer");
  if (!normalizer) return false;
  const auto is_lowercase = [](const JsonCursor& stage) { return stage["type"].text() == "Lowercase"; };
  if ((*normalizer)["type"].text() != "Sequence") return is_lowercase(*normalizer);
  const JsonCursor stages = (*normalizer)["normalizers"];
  for (size_t i = 0; i < stages.array().size(); ++i) {
    if (is_lowercase(stages.item(i))) return true;
  }
  return false;
}

void put_lowercase_first(PipelineParts& parts) {
  std::vector<std::unique_ptr<Normalizer>> stages;
  stages.push_back(lowercase_normalizer());
  if (parts.normalizer) stages.push_back(std::move(parts.normalizer));
  parts.normalizer = normalizer_sequence(std::move(stages));
}

// What BERT's normalizer in the file says, if it has one.
TokenizerOptions options_of(const JsonCursor& file) {
  TokenizerOptions options;
  const auto normalizer = file.present("normalizer");
  if (!normalizer || (*normalizer)["type"].text() != "BertNormalizer") return options;
  options.lowercase = (*normalizer)["lowercase"].flag();
  options.tokenize_chinese_chars = (*normalizer)["handle_chinese_chars"].flag();
  if (const auto strip = normalizer->present("strip_accents")) options.strip_accents = strip->flag();
  return options;
}

std::optional<int32_t> limit_of(const std::optional<Truncation>& truncation) {
  if (!truncation || truncation->max_length > (1 << 20)) return std::nullopt;
  return static_cast<int32_t>(truncation->max_length);
}

}  // namespace

LoadedFolder load_folder(const FolderFiles& files, bool lowercase) {
  std::optional<JsonFile> tokenizer;
  if (files.has(kTokenizerFile)) {
    tokenizer.emplace(files.path(kTokenizerFile), files.text(kTokenizerFile));
  } else if (!files.has(kVocabFile) && !files.has(kSourcePiecesFile) && !files.has(kBpePiecesFile) &&
             !files.has(kPiecesFile)) {
    throw IoError(fmt::format("{}: holds neither {} nor {} nor SentencePiece's {}, {} or {}",
                              files.directory().string(), kVocabFile, kTokenizerFile, kSourcePiecesFile, kBpePiecesFile,
                              kPiecesFile));
  }
  const JsonFile* file = tokenizer ? &*tokenizer : nullptr;
  const TokenizerSettings settings = read_settings(files, file);
  LoadedFolder loaded;
  Builder builder(files, settings, file);
  loaded.parts = builder.run();
  loaded.languages = builder.languages();
  if (lowercase && !lowercases(settings, file)) put_lowercase_first(loaded.parts);
  for (size_t i = 0; i < settings.named.size(); ++i) {
    if (settings.named[i]) loaded.names[i] = settings.named[i]->token.content;
  }
  std::optional<Truncation> truncation;
  if (file != nullptr) {
    truncation = read_truncation(file->cursor());
    check_padding(file->cursor());
  }
  loaded.max_length = settings.max_length;
  loaded.file_limit = limit_of(truncation);
  // A caller of `transformers` cuts the longest first without overlap, on the side that the files say.
  const Side side = settings.truncation_side.value_or(truncation ? truncation->side : Side::kRight);
  loaded.parts.truncation = Truncation{.max_length = 0, .side = side};
  if (settings.tokenizer_class == TokenizerClass::kFile) {
    loaded.options = options_of(file->cursor());
  } else if (settings.tokenizer_class == TokenizerClass::kBert || settings.tokenizer_class == TokenizerClass::kMpnet) {
    loaded.options.lowercase = settings.do_lower_case;
    loaded.options.tokenize_chinese_chars = settings.tokenize_chinese_chars;
    loaded.options.strip_accents = settings.strip_accents;
  }
  loaded.plain_bert =
      settings.tokenizer_class == TokenizerClass::kBert && !settings.split_special_tokens && side == Side::kRight &&
      !lowercase && std::ranges::all_of(loaded.parts.added.entries(), [](const auto& entry) {
        return std::ranges::find(kSpecialTokens, entry.token.content) != std::end(kSpecialTokens) &&
               entry.token == AddedToken{.content = entry.token.content, .normalized = false, .special = true};
      });
  return loaded;
}

LoadedFolder load_tokenizer_file(const fs::path& path, std::string text) {
  LoadedFolder loaded;
  if (path.extension() == ".model" || path.extension() == ".spm") {
    loaded.parts = sentencepiece_parts(path, text);
    return loaded;
  }
  const JsonFile file(path, std::move(text));
  loaded.parts = read_pipeline(file.cursor(), file.text());
  loaded.max_length = limit_of(loaded.parts.truncation);
  loaded.options = options_of(file.cursor());
  return loaded;
}

}  // namespace qing::nn::text

qing::nn::LanguageTokens qing::nn::read_language_tokens(const std::filesystem::path& folder) {
  return text::load_folder(text::FolderFiles(folder)).languages;
}
