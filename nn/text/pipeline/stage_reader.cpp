// The stages of a tokenizer.json that change and cut text: normalizer, pre-tokenizer, decoder.
#include <fmt/format.h>

#include <qing/nn/base64.h>
#include <qing/nn/text/pipeline/byte_level.h>
#include <qing/nn/text/pipeline/pipeline_reader.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

constexpr size_t kMostInserted = 256;

// The stages of a Sequence, each read by `read`.
template <class Stage, class Read>
std::vector<std::unique_ptr<Stage>> read_stages(const JsonCursor& stages, const Read& read) {
  std::vector<std::unique_ptr<Stage>> result;
  for (size_t i = 0; i < stages.array().size(); ++i) result.push_back(read(stages.item(i)));
  return result;
}

Delimiter read_behavior(const JsonCursor& behavior) {
  const std::string name =
      behavior.choice({"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"});
  if (name == "Removed") return Delimiter::kRemoved;
  if (name == "Isolated") return Delimiter::kIsolated;
  if (name == "MergedWithPrevious") return Delimiter::kMergedWithPrevious;
  return name == "MergedWithNext" ? Delimiter::kMergedWithNext : Delimiter::kContiguous;
}

PrependScheme read_scheme(const JsonCursor& stage) {
  const auto scheme = stage.present("prepend_scheme");
  const std::string name = scheme ? scheme->choice({"first", "never", "always"}) : "always";
  if (!stage.flag("add_prefix_space", true)) {  // the older spelling
    if (scheme && name != "never") stage.fail("add_prefix_space does not match prepend_scheme");
    if (!scheme) stage.fail("add_prefix_space is false and prepend_scheme is missing; say \"never\"");
    return PrependScheme::kNever;
  }
  return name == "first" ? PrependScheme::kFirst : name == "never" ? PrependScheme::kNever : PrependScheme::kAlways;
}

}  // namespace

TextPattern read_pattern(const JsonCursor& pattern) {
  if (const auto literal = pattern.find("String")) {
    const std::string text = literal->text();
    if (text.empty()) literal->fail("an empty pattern is not supported");
    return TextPattern::literal(text);
  }
  const JsonCursor expression = pattern["Regex"];
  return expression.at_place([&] { return TextPattern::regex(expression.text()); });
}

std::string read_short_text(const JsonCursor& text) {
  std::string result = text.text();
  if (result.size() > kMostInserted) {
    text.fail(fmt::format("has {} bytes; at most {} are supported", result.size(), kMostInserted));
  }
  return result;
}

std::unique_ptr<Normalizer> read_normalizer(const JsonCursor& stage) {
  const std::string type =
      stage["type"].choice({"Sequence", "BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents",
                            "Strip", "Replace", "Prepend", "Nmt", "Precompiled", "ByteLevel"});
  if (type == "Sequence") {
    return normalizer_sequence(read_stages<Normalizer>(stage["normalizers"], read_normalizer));
  }
  if (type == "BertNormalizer") {
    const auto strip = stage.present("strip_accents");
    return bert_normalizer({.clean_text = stage["clean_text"].flag(),
                            .handle_chinese_chars = stage["handle_chinese_chars"].flag(),
                            .strip_accents = strip ? std::optional(strip->flag()) : std::nullopt,
                            .lowercase = stage["lowercase"].flag()});
  }
  if (type == "Lowercase") return lowercase_normalizer();
  if (type == "NFC") return form_normalizer(Form::kNfc);
  if (type == "NFD") return form_normalizer(Form::kNfd);
  if (type == "NFKC") return form_normalizer(Form::kNfkc);
  if (type == "NFKD") return form_normalizer(Form::kNfkd);
  if (type == "StripAccents") return strip_accents_normalizer();
  if (type == "Strip") return strip_normalizer(stage["strip_left"].flag(), stage["strip_right"].flag());
  if (type == "Replace") return replace_normalizer(read_pattern(stage["pattern"]), read_short_text(stage["content"]));
  if (type == "Prepend") return prepend_normalizer(read_short_text(stage["prepend"]));
  if (type == "Nmt") return nmt_normalizer();
  if (type == "ByteLevel") return byte_level_normalizer();
  const JsonCursor map = stage["precompiled_charsmap"];
  return map.at_place([&] { return charsmap_normalizer(Charsmap(decode_base64(map.text()))); });
}

std::unique_ptr<PreTokenizer> read_pre_tokenizer(const JsonCursor& stage) {
  const std::string type =
      stage["type"].choice({"Sequence", "BertPreTokenizer", "ByteLevel", "Metaspace", "Whitespace", "WhitespaceSplit",
                            "Punctuation", "Digits", "Split", "CharDelimiterSplit", "Delimiter", "FixedLength"});
  if (type == "Sequence") {
    return pre_tokenizer_sequence(read_stages<PreTokenizer>(stage["pretokenizers"], read_pre_tokenizer));
  }
  if (type == "BertPreTokenizer") return bert_pre_tokenizer();
  if (type == "ByteLevel") {
    return byte_level_pre_tokenizer(stage["add_prefix_space"].flag(), stage.flag("use_regex", true));
  }
  if (type == "Metaspace") {
    return metaspace_pre_tokenizer(stage["replacement"].character(), read_scheme(stage), stage.flag("split", true));
  }
  if (type == "Whitespace") return word_pre_tokenizer();
  if (type == "WhitespaceSplit") return white_space_pre_tokenizer();
  if (type == "Punctuation") {
    const auto behavior = stage.find("behavior");
    return punctuation_pre_tokenizer(behavior ? read_behavior(*behavior) : Delimiter::kIsolated);
  }
  if (type == "Digits") return digits_pre_tokenizer(stage["individual_digits"].flag());
  if (type == "Split") {
    const Delimiter behavior = read_behavior(stage["behavior"]);
    const bool invert = stage["invert"].flag();
    const JsonCursor pattern = stage["pattern"];
    const auto expression = pattern.find("Regex");
    if (expression && expression->text() == kByteLevelExpression) return byte_level_split(behavior, invert);
    return split_pre_tokenizer(read_pattern(pattern), behavior, invert);
  }
  if (type == "FixedLength") {
    const auto length = stage.find("length");
    return length_pre_tokenizer(length ? static_cast<size_t>(length->integer(1, 1 << 20)) : 5);
  }
  return character_pre_tokenizer(stage["delimiter"].character());
}

std::unique_ptr<Decoder> read_decoder(const JsonCursor& stage) {
  const std::string type = stage["type"].choice(
      {"Sequence", "WordPiece", "ByteLevel", "Metaspace", "BPEDecoder", "ByteFallback", "Fuse", "Strip", "Replace"});
  if (type == "Sequence") return decoder_sequence(read_stages<Decoder>(stage["decoders"], read_decoder));
  if (type == "WordPiece") return wordpiece_decoder(stage["prefix"].text(), stage["cleanup"].flag());
  if (type == "ByteLevel") return byte_level_decoder();
  if (type == "Metaspace") {
    return metaspace_decoder(stage["replacement"].character(), read_scheme(stage) != PrependScheme::kNever);
  }
  if (type == "BPEDecoder") return bpe_decoder(stage["suffix"].text());
  if (type == "ByteFallback") return byte_fallback_decoder();
  if (type == "Fuse") return fuse_decoder();
  if (type == "Strip") {
    return strip_decoder(stage["content"].character(), static_cast<size_t>(stage["start"].integer(0, 1 << 20)),
                         static_cast<size_t>(stage["stop"].integer(0, 1 << 20)));
  }
  return replace_decoder(read_pattern(stage["pattern"]), read_short_text(stage["content"]));
}

}  // namespace qing::nn::text
