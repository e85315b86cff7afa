#include <qing/nn/text/translation_tokenizers.h>

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include <qing/nn/text/pipeline/charsmap.h>
#include <qing/nn/text/pipeline/pipeline_reader.h>
#include <qing/nn/text/sentencepiece.h>
#include <qing/nn/text/sentencepiece_file.h>
#include <qing/tensor/errors.h>

namespace qing::nn {

int32_t LanguageTokens::find(std::string_view language) const {
  const auto found =
      std::ranges::find(tokens, language, [](const auto& each) -> std::string_view { return each.first; });
  return found == tokens.end() ? -1 : found->second;
}

std::string LanguageTokens::names() const {
  std::string result;
  for (const auto& [name, id] : tokens) result += (result.empty() ? "" : ", ") + name;
  return result;
}

namespace text {
namespace {

// The languages of M2M100Tokenizer and MBart50Tokenizer, in the order of their ids. MBartTokenizer has the first 25 of
// the latter.
constexpr std::string_view kM2m100Languages =
    "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr "
    "ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or "
    "pa pl ps pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu";
constexpr std::string_view kWmt21Languages = "en ha is ja cs ru zh de";
constexpr std::string_view kMbart50Languages =
    "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM "
    "ne_NP nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH "
    "mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF pt_XX sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES "
    "sl_SI";
constexpr size_t kMbartLanguages = 25;
constexpr int32_t kUnknownOfMbart = 3, kUnknownOfT5 = 2;
constexpr char32_t kSpaceMark = 0x2581;

std::vector<std::string> words_of(std::string_view list) {
  std::vector<std::string> words;
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(' ', at), list.size());
    words.emplace_back(list.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

AddedToken special_token(std::string content) {
  return {.content = std::move(content), .normalized = false, .special = true};
}

class TranslationBuilder {
 public:
  TranslationBuilder(const FolderFiles& files, const TokenizerSettings& settings, const JsonFile* tokenizer)
      : files_(files), settings_(settings), tokenizer_(tokenizer) {}

  TranslationTokenizer run() {
    switch (settings_.tokenizer_class) {
      case TokenizerClass::kMarian: marian(); break;
      case TokenizerClass::kM2m100: m2m100(); break;
      case TokenizerClass::kNllb: nllb(); break;
      case TokenizerClass::kT5: t5(); break;
      default: mbart(); break;
    }
    LanguageTokens& languages = result_.languages;
    languages.source = settings_.source_language.value_or(languages.source);
    languages.target = settings_.target_language.value_or("");
    for (const std::string* each : {&languages.source, &languages.target}) {
      if (languages.use != LanguageTokens::Use::kBoth || each->empty() || languages.find(*each) >= 0) continue;
      throw DataError(fmt::format("{}: the language '{}' has no token; there are {}",
                                  files_.path(kTokenizerConfigFile).string(), *each, languages.names()));
    }
    return std::move(result_);
  }

 private:
  PipelineParts& parts() { return result_.parts; }
  const std::string& token_named(NamedToken which) const { return name_of(which, settings_, files_); }

  SentencePieceFile pieces_of(const char* name) const {
    return read_sentencepiece(files_.path(name), files_.text(name));
  }

  // SentencePiece with the ids of vocab.json.
  void numbered(const char* name, const SentencePieceDecoding& decoding) {
    const SentencePieceFile file = pieces_of(name);
    const JsonFile ids = json_of(files_, kVocabularyFile);
    Vocabulary vocabulary = read_vocabulary(ids.cursor());
    const std::string& unknown = token_named(NamedToken::kUnk);
    const int32_t id = vocabulary.find(unknown);
    if (id < 0) ids.cursor().fail(fmt::format("unk_token '{}' is missing", unknown));
    try {
      parts().normalizer = sentencepiece_normalizer(file);
      parts().decoder = sentencepiece_decoder(file, decoding);
      parts().model = sentencepiece_model(file, OtherVocabulary{std::move(vocabulary), id});
    } catch (const DataError& error) {
      throw DataError(fmt::format("{}: {}", files_.path(name).string(), error.what()));
    }
  }

  // Translations are decoded by the source's pieces too, as there.
  void marian() {
    if (settings_.separate_vocabularies) {
      throw DataError(fmt::format("{}: separate_vocabs: true is not supported; only false is",
                                  files_.path(kTokenizerConfigFile).string()));
    }
    numbered(kSourcePiecesFile, {.marks_to_spaces = true, .strip = true});
    LanguageTokens& languages = result_.languages;
    parts().model->vocabulary().for_each([&](std::string_view token, int32_t id) {
      if (token.size() <= 4 || !token.starts_with(">>") || !token.ends_with("<<")) return;
      languages.tokens.emplace_back(token.substr(2, token.size() - 4), id);
    });
    if (!languages.tokens.empty()) languages.use = LanguageTokens::Use::kTarget;
  }

  void m2m100() {
    numbered(kBpePiecesFile, {.marks_to_spaces = false, .strip = true});
    LanguageTokens& languages = result_.languages;
    languages.use = LanguageTokens::Use::kBoth;
    languages.source = "en";
    std::vector<AddedToken> tokens;
    const bool wmt = settings_.language_codes == "wmt21";
    if (!wmt && settings_.language_codes != "m2m100") {
      throw DataError(fmt::format("{}: language_codes: '{}' is not supported; only m2m100 and wmt21 are",
                                  files_.path(kTokenizerConfigFile).string(), settings_.language_codes));
    }
    const std::vector<std::string> names = words_of(wmt ? kWmt21Languages : kM2m100Languages);
    tokens.reserve(names.size());
    for (const std::string& name : names) tokens.push_back(special_token(fmt::format("__{}__", name)));
    parts().added.add(tokens, *parts().model);
    for (size_t i = 0; i < names.size(); ++i) {
      languages.tokens.emplace_back(names[i], parts().added.find(tokens[i].content));
    }
  }

  // The stages of `tokenizers` that split at spaces.
  void metaspace(bool white_space_first) {
    std::vector<std::unique_ptr<PreTokenizer>> stages;
    if (white_space_first) stages.push_back(white_space_pre_tokenizer());
    stages.push_back(metaspace_pre_tokenizer(kSpaceMark, PrependScheme::kAlways, true));
    parts().pre_tokenizer = pre_tokenizer_sequence(std::move(stages));
    parts().decoder = metaspace_decoder(kSpaceMark, true);
  }

  using Pieces = std::vector<std::pair<std::string, double>>;
  // The pieces and the character map, of tokenizer.json or of SentencePiece's file.
  Pieces unigram_pieces(const char* name, std::unique_ptr<Normalizer>& map) const {
    Pieces pieces;
    if (tokenizer_ != nullptr) {
      map = charsmap_of(tokenizer_->cursor());
      const JsonCursor model = tokenizer_->cursor()["model"];
      return model.at_place([&] { return read_pieces(model["vocab"], tokenizer_->text(), Rounding::kNearest); });
    }
    const SentencePieceFile file = pieces_of(name);
    if (file.bpe) {
      throw DataError(
          fmt::format("{}: a bpe model, but the tokenizer's class has a unigram model", files_.path(name).string()));
    }
    for (const SentencePiece& piece : file.pieces) pieces.emplace_back(piece.text, piece.score);
    if (file.normalizer.charsmap.empty()) return pieces;
    try {
      map = charsmap_normalizer(Charsmap(file.normalizer.charsmap));
    } catch (const DataError& error) {
      throw DataError(fmt::format("{}: precompiled_charsmap: {}", files_.path(name).string(), error.what()));
    }
    return pieces;
  }

  void unigram(const Pieces& pieces, int32_t unknown) {
    try {
      parts().model = unigram_model(pieces, unknown, false);
    } catch (const DataError& error) {
      throw DataError(fmt::format("{}: {}", files_.directory().string(), error.what()));
    }
  }

  void add_languages(const std::vector<std::string>& names, std::string source) {
    LanguageTokens& languages = result_.languages;
    languages.use = LanguageTokens::Use::kBoth;
    languages.source = std::move(source);
    std::vector<AddedToken> tokens;
    tokens.reserve(names.size());
    for (const std::string& name : names) tokens.push_back(special_token(name));
    parts().added.add(tokens, *parts().model);
    for (const std::string& name : names) languages.tokens.emplace_back(name, parts().added.find(name));
  }

  void mbart() {
    const bool fifty = settings_.tokenizer_class == TokenizerClass::kMbart50;
    std::vector<std::string> names = words_of(kMbart50Languages);
    if (!fifty) names.resize(kMbartLanguages);
    std::unique_ptr<Normalizer> map;
    if (!fifty && tokenizer_ == nullptr) {
      throw DataError(fmt::format("{}: MBartTokenizer needs a {}; save the tokenizer with transformers",
                                  files_.directory().string(), kTokenizerFile));
    }
    Pieces pieces = unigram_pieces(kBpePiecesFile, map);
    if (tokenizer_ == nullptr) {
      // SentencePiece's first pieces are <unk>, <s> and </s>.
      if (pieces.size() < 3) throw DataError(files_.path(kBpePiecesFile).string() + ": has less than three pieces");
      Pieces ordered;
      for (const NamedToken which : {NamedToken::kCls, NamedToken::kPad, NamedToken::kEos, NamedToken::kUnk}) {
        ordered.emplace_back(token_named(which), 0);
      }
      ordered.insert(ordered.end(), pieces.begin() + 3, pieces.end());
      for (const std::string& name : names) ordered.emplace_back(name, 0);
      ordered.emplace_back(token_named(NamedToken::kMask), 0);
      pieces = std::move(ordered);
    }
    unigram(pieces, kUnknownOfMbart);
    if (fifty) {
      std::vector<std::unique_ptr<Normalizer>> stages;
      if (map) stages.push_back(std::move(map));
      stages.push_back(replace_normalizer(TextPattern::regex(" {2,}"), " "));
      parts().normalizer = normalizer_sequence(std::move(stages));
    }
    metaspace(!fifty);
    add_languages(names, "en_XX");
    result_.languages.source_last = !fifty;
  }

  void nllb() {
    if (tokenizer_ == nullptr) {
      throw DataError(fmt::format("{}: NllbTokenizer needs a {}; save the tokenizer with transformers",
                                  files_.directory().string(), kTokenizerFile));
    }
    const JsonCursor stage = tokenizer_->cursor()["model"];
    BpeOptions options;
    options.unknown = token_named(NamedToken::kUnk);
    options.fuse_unknown = true;
    parts().model = stage.at_place(
        [&] { return bpe_model(read_vocabulary(stage["vocab"]), read_merges(stage["merges"]), options); });
    if (std::unique_ptr<Normalizer> map = charsmap_of(tokenizer_->cursor())) {
      std::vector<std::unique_ptr<Normalizer>> stages;
      stages.push_back(std::move(map));
      stages.push_back(replace_normalizer(TextPattern::regex(" {2,}"), " "));
      parts().normalizer = normalizer_sequence(std::move(stages));
    }
    metaspace(false);
    // The languages are the special tokens "eng_Latn", which the files list.
    std::set<std::string> names;
    const auto keep = [&](const std::string& token) {
      if (token.size() == 8 && token[3] == '_' && token[4] >= 'A' && token[4] <= 'Z') names.insert(token);
    };
    for (const auto& [id, token] : settings_.added) keep(token.content);
    for (const TokenSetting& extra : settings_.extra) keep(extra.token.content);
    std::vector<AddedToken> added;
    for (const auto& [id, token] : settings_.added) added.push_back(token);
    parts().added.add(added, *parts().model);
    if (names.empty()) {
      throw DataError(fmt::format("{}: holds no tokens of languages such as eng_Latn", files_.directory().string()));
    }
    const std::string own = "eng_Latn";
    add_languages({names.begin(), names.end()}, names.contains(own) ? own : *names.begin());
    result_.languages.source_last = settings_.legacy_behaviour;
  }

  void t5() {
    std::unique_ptr<Normalizer> map;
    Pieces pieces = unigram_pieces(kPiecesFile, map);
    std::vector<AddedToken> extra;
    for (int64_t i = settings_.extra_ids - 1; i >= 0; --i) {
      extra.push_back(special_token(fmt::format("<extra_id_{}>", i)));
      if (tokenizer_ == nullptr) pieces.emplace_back(extra.back().content, 0);
    }
    unigram(pieces, kUnknownOfT5);
    parts().normalizer = std::move(map);
    metaspace(true);
    parts().added.add(extra, *parts().model);
  }

  const FolderFiles& files_;
  const TokenizerSettings& settings_;
  const JsonFile* tokenizer_;
  TranslationTokenizer result_;
};

}  // namespace

TranslationTokenizer translation_tokenizer(const FolderFiles& files, const TokenizerSettings& settings,
                                           const JsonFile* tokenizer) {
  return TranslationBuilder(files, settings, tokenizer).run();
}

PipelineParts sentencepiece_parts(const std::filesystem::path& path, std::string_view bytes) {
  const SentencePieceFile file = read_sentencepiece(path, bytes);
  PipelineParts parts;
  try {
    parts.normalizer = sentencepiece_normalizer(file);
    parts.decoder = sentencepiece_decoder(file, {});
    parts.model = sentencepiece_model(file, std::nullopt);
  } catch (const DataError& error) { throw DataError(fmt::format("{}: {}", path.string(), error.what())); }
  return parts;
}

std::unique_ptr<Normalizer> charsmap_of(const JsonCursor& file) {
  const auto normalizer = file.present("normalizer");
  if (!normalizer) return nullptr;
  const auto of = [](const JsonCursor& stage) {
    return stage["type"].text() == "Precompiled" ? read_normalizer(stage) : nullptr;
  };
  if ((*normalizer)["type"].text() != "Sequence") return of(*normalizer);
  const JsonCursor stages = (*normalizer)["normalizers"];
  for (size_t i = 0; i < stages.array().size(); ++i) {
    if (auto found = of(stages.item(i))) return found;
  }
  return nullptr;
}

}  // namespace text
}  // namespace qing::nn
