#include <qing/nn/text/pipeline/pipeline_reader.h>

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <map>

#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

constexpr int64_t kMostId = (1 << 24) - 1;

int32_t read_id(const JsonCursor& id) { return static_cast<int32_t>(id.integer(0, kMostId)); }

// ["[SEP]", 3]
int32_t read_named_id(const JsonCursor& pair) {
  if (pair.array().size() != 2) pair.fail("is not a token and its id");
  pair.item(0).text();
  return read_id(pair.item(1));
}

Side read_side(const JsonCursor& side) { return side.choice({"Left", "Right"}) == "Left" ? Side::kLeft : Side::kRight; }

using TokenIds = std::map<std::string, std::vector<int32_t>>;

std::vector<PostProcessing::Part> read_template(const JsonCursor& parts, const TokenIds& ids, bool pair) {
  std::vector<PostProcessing::Part> result;
  constexpr size_t kMostParts = 64;
  if (parts.array().size() > kMostParts) parts.fail(fmt::format("has more than {} parts", kMostParts));
  for (size_t i = 0; i < parts.array().size(); ++i) {
    const JsonCursor part = parts.item(i);
    PostProcessing::Part read;
    if (const auto sequence = part.find("Sequence")) {
      const JsonCursor id = (*sequence)["id"];
      read.sequence = id.choice({"A", "B"}) == "A" ? 0 : 1;
      if (read.sequence == 1 && !pair) id.fail("there is no second text");
      read.type = static_cast<int32_t>((*sequence)["type_id"].integer(0, std::numeric_limits<int32_t>::max()));
    } else {
      const JsonCursor special = part["SpecialToken"], id = special["id"];
      const auto found = ids.find(id.text());
      if (found == ids.end()) id.fail("is none of the special_tokens");
      read.ids = found->second;
      read.type = static_cast<int32_t>(special["type_id"].integer(0, std::numeric_limits<int32_t>::max()));
    }
    result.push_back(std::move(read));
  }
  return result;
}

PostProcessing read_template_processing(const JsonCursor& stage) {
  TokenIds ids;
  const JsonCursor tokens = stage["special_tokens"];
  for (const auto& [name, value] : tokens.object()) {
    const JsonCursor list = tokens[name]["ids"];
    std::vector<int32_t>& found = ids[std::string(name)];
    for (size_t i = 0; i < list.array().size(); ++i) found.push_back(read_id(list.item(i)));
  }
  PostProcessing result;
  result.single = read_template(stage["single"], ids, false);
  result.pair = read_template(stage["pair"], ids, true);
  return result;
}

bool adds_tokens(const PostProcessing& stage) { return stage.added(false) + stage.added(true) > 0; }

std::string read_unknown(const JsonCursor& model) { return model["unk_token"].text(); }

std::unique_ptr<TokenModel> read_bpe(const JsonCursor& model) {
  BpeOptions options;
  if (const auto unknown = model.present("unk_token")) options.unknown = unknown->text();
  if (const auto prefix = model.present("continuing_subword_prefix"))
    options.continuing_prefix = read_short_text(*prefix);
  if (const auto suffix = model.present("end_of_word_suffix")) options.end_suffix = read_short_text(*suffix);
  options.fuse_unknown = model.flag("fuse_unk", false);
  options.byte_fallback = model.flag("byte_fallback", false);
  options.ignore_merges = model.flag("ignore_merges", false);
  if (const auto dropout = model.present("dropout")) {
    const auto& value = dropout->value();
    if (!value.is_number() || value.to_number<double>() != 0) {
      dropout->fail("merges would be left out at random; only null and 0 are supported");
    }
  }
  return bpe_model(read_vocabulary(model["vocab"]), read_merges(model["merges"]), options);
}

std::string model_type(const JsonCursor& model) {
  if (const auto type = model.find("type")) return type->choice({"WordPiece", "BPE", "Unigram", "WordLevel"});
  // Older files leave it out.
  if (model.find("merges")) return "BPE";
  if (model.find("max_input_chars_per_word")) return "WordPiece";
  return model["vocab"].value().is_array() ? "Unigram" : "WordLevel";
}

}  // namespace

Vocabulary read_vocabulary(const JsonCursor& vocabulary) {
  Vocabulary result;
  result.reserve(vocabulary.object().size());
  for (const auto& [token, id] : vocabulary.object()) {
    if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() > kMostId) {
      vocabulary.fail(fmt::format("the id of '{}' is {}, not an integer from 0 to {}", std::string_view(token),
                                  boost::json::serialize(id), kMostId));
    }
    const auto number = static_cast<int32_t>(id.get_int64());
    if (result.has(number)) {
      vocabulary.fail(
          fmt::format("'{}' and '{}' have the same id {}", result.text(number), std::string_view(token), number));
    }
    const std::string_view text = token;  // clang 14 captures no structured binding
    vocabulary.at_place([&] { result.add(text, number); });
  }
  vocabulary.at_place([&] { result.check(); });
  return result;
}

std::vector<std::pair<std::string, std::string>> read_merges(const JsonCursor& merges) {
  std::vector<std::pair<std::string, std::string>> result;
  const auto& list = merges.array();
  result.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_array()) {
      const JsonCursor pair = merges.item(i);
      if (pair.array().size() != 2) pair.fail("is not a pair");
      result.emplace_back(pair.item(0).text(), pair.item(1).text());
      continue;
    }
    const std::string text = merges.item(i).text();  // the older form, with a space between
    if (text.starts_with("#version")) continue;
    const size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
      merges.item(i).fail("is not two tokens with a space between them");
    }
    result.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  return result;
}

std::vector<std::pair<std::string, double>> read_pieces(const JsonCursor& vocabulary, std::string_view json,
                                                        Rounding rounding) {
  const std::vector<double> scores = unigram_scores(json, rounding);
  const auto& list = vocabulary.array();
  std::vector<std::pair<std::string, double>> result;
  result.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const auto* pair = list[i].if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_number()) {
      vocabulary.item(i).fail("is not a piece and its score");
    }
    const double score = scores.size() == list.size() ? scores[i] : (*pair)[1].to_number<double>();
    if (!std::isfinite(score)) vocabulary.item(i).fail("the score is not finite");
    result.emplace_back((*pair)[0].get_string(), score);
  }
  return result;
}

std::unique_ptr<TokenModel> read_model(const JsonCursor& model, std::string_view json) {
  const std::string type = model_type(model);
  return model.at_place([&]() -> std::unique_ptr<TokenModel> {
    if (type == "BPE") return read_bpe(model);
    if (type == "Unigram") {
      const auto unknown = model.present("unk_id");
      if (!unknown) model.fail("unk_id is missing; a text with an unknown character would have no ids");
      return unigram_model(read_pieces(model["vocab"], json, Rounding::kSerde), read_id(*unknown),
                           model.flag("byte_fallback", false));
    }
    Vocabulary vocabulary = read_vocabulary(model["vocab"]);
    if (type == "WordLevel") return word_level_model(std::move(vocabulary), read_unknown(model));
    return wordpiece_model(std::move(vocabulary),
                           {.unknown = read_unknown(model),
                            .continuing_prefix = model["continuing_subword_prefix"].text(),
                            .most_characters = static_cast<size_t>(
                                model["max_input_chars_per_word"].integer(0, std::numeric_limits<int64_t>::max()))});
  });
}

PostProcessing bert_processing(int32_t cls, int32_t sep) {
  return {.single = {{-1, {cls}, 0}, {0, {}, 0}, {-1, {sep}, 0}},
          .pair = {{-1, {cls}, 0}, {0, {}, 0}, {-1, {sep}, 0}, {1, {}, 1}, {-1, {sep}, 1}}};
}

PostProcessing roberta_processing(int32_t cls, int32_t sep) {
  return {.single = {{-1, {cls}, 0}, {0, {}, 0}, {-1, {sep}, 0}},
          .pair = {{-1, {cls}, 0}, {0, {}, 0}, {-1, {sep}, 0}, {-1, {sep}, 0}, {1, {}, 0}, {-1, {sep}, 0}},
          .types_of_overflow = true};
}

PostProcessing read_post_processor(const JsonCursor& stage) {
  const std::string type =
      stage["type"].choice({"Sequence", "BertProcessing", "RobertaProcessing", "TemplateProcessing", "ByteLevel"});
  if (type == "BertProcessing") return bert_processing(read_named_id(stage["cls"]), read_named_id(stage["sep"]));
  if (type == "RobertaProcessing") {
    PostProcessing result = roberta_processing(read_named_id(stage["cls"]), read_named_id(stage["sep"]));
    if (stage["trim_offsets"].flag()) result.trims.push_back(stage["add_prefix_space"].flag());
    return result;
  }
  if (type == "TemplateProcessing") return read_template_processing(stage);
  PostProcessing result;
  if (type == "ByteLevel") {
    if (stage["trim_offsets"].flag()) result.trims.push_back(stage["add_prefix_space"].flag());
    return result;
  }
  bool arranged = false;
  const JsonCursor stages = stage["processors"];
  for (size_t i = 0; i < stages.array().size(); ++i) {
    const JsonCursor item = stages.item(i);
    PostProcessing next = read_post_processor(item);
    result.trims.insert(result.trims.end(), next.trims.begin(), next.trims.end());
    if (item["type"].text() == "ByteLevel") continue;
    if (arranged && adds_tokens(next)) item.fail("a second processor that adds special tokens is not supported");
    if (arranged) continue;
    arranged = true;
    result.types_of_overflow = next.types_of_overflow;
    result.single = std::move(next.single);
    result.pair = std::move(next.pair);
  }
  return result;
}

AddedToken read_added_token(const JsonCursor& token) {
  AddedToken result;
  result.content = token["content"].text();
  result.single_word = token.flag("single_word", false);
  result.lstrip = token.flag("lstrip", false);
  result.rstrip = token.flag("rstrip", false);
  result.special = token.flag("special", false);
  result.normalized = token.flag("normalized", !result.special);
  return result;
}

std::vector<std::pair<int32_t, AddedToken>> read_added_tokens(const JsonCursor& tokens) {
  std::vector<std::pair<int32_t, AddedToken>> result;
  for (size_t i = 0; i < tokens.array().size(); ++i) {
    const JsonCursor token = tokens.item(i);
    for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized", "special"}) token[flag].flag();
    result.emplace_back(read_id(token["id"]), read_added_token(token));
  }
  return result;
}

std::optional<Truncation> read_truncation(const JsonCursor& file) {
  const auto truncation = file.present("truncation");
  if (!truncation) return std::nullopt;
  Truncation result;
  result.max_length = static_cast<size_t>((*truncation)["max_length"].integer(0, std::numeric_limits<int64_t>::max()));
  result.stride = static_cast<size_t>((*truncation)["stride"].integer(0, std::numeric_limits<int64_t>::max()));
  const std::string strategy = (*truncation)["strategy"].choice({"LongestFirst", "OnlyFirst", "OnlySecond"});
  result.strategy = strategy == "LongestFirst" ? TruncationStrategy::kLongestFirst
                    : strategy == "OnlyFirst"  ? TruncationStrategy::kOnlyFirst
                                               : TruncationStrategy::kOnlySecond;
  if (const auto side = truncation->find("direction")) result.side = read_side(*side);
  if (result.stride > 0 && result.stride >= result.max_length) {
    truncation->fail(fmt::format("the stride {} leaves nothing of {} tokens", result.stride, result.max_length));
  }
  return result;
}

void check_padding(const JsonCursor& file) {
  const auto padding = file.present("padding");
  if (!padding) return;
  const JsonCursor strategy = (*padding)["strategy"];
  constexpr int64_t kMostLength = 1 << 24;
  if (strategy.value().is_object()) {
    strategy["Fixed"].integer(0, kMostLength);
  } else {
    strategy.choice({"BatchLongest"});
  }
  read_side((*padding)["direction"]);
  if (const auto multiple = padding->present("pad_to_multiple_of")) multiple->integer(0, kMostLength);
  read_id((*padding)["pad_id"]);
  (*padding)["pad_type_id"].integer(0, std::numeric_limits<int32_t>::max());
  (*padding)["pad_token"].text();
}

PipelineParts read_pipeline(const JsonCursor& file, std::string_view json) {
  if (const auto version = file.find("version")) version->choice({"1.0"});
  PipelineParts parts;
  if (const auto stage = file.present("normalizer")) parts.normalizer = read_normalizer(*stage);
  if (const auto stage = file.present("pre_tokenizer")) parts.pre_tokenizer = read_pre_tokenizer(*stage);
  if (const auto stage = file.present("post_processor")) parts.post_processing = read_post_processor(*stage);
  if (const auto stage = file.present("decoder")) parts.decoder = read_decoder(*stage);
  parts.model = read_model(file["model"], json);
  if (const auto tokens = file.present("added_tokens")) {
    std::vector<AddedToken> added;
    for (auto& [id, token] : read_added_tokens(*tokens)) added.push_back(std::move(token));
    parts.added.add(added, *parts.model);
  }
  parts.truncation = read_truncation(file);
  check_padding(file);
  return parts;
}

}  // namespace qing::nn::text
