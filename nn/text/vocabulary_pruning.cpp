#include <qing/nn/text/vocabulary_pruning.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <qing/nn/text/pipeline/json_numbers.h>
#include <qing/nn/text/pipeline/pipeline_reader.h>
#include <qing/nn/text/pipeline/token_model.h>
#include <qing/nn/text/tokenizer_settings.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

namespace json = boost::json;

std::string quoted(std::string_view text) { return json::serialize(json::value(text)); }

// The merges of a BPE model with the text that each gives.
struct Merge {
  std::string left, right, result;
};
std::vector<Merge> merges_of(const JsonCursor& model) {
  size_t prefix = 0;
  if (const auto given = model.present("continuing_subword_prefix")) prefix = given->text().size();
  std::vector<Merge> merges;
  for (auto& [left, right] : read_merges(model["merges"])) {
    std::string result = left + right.substr(std::min(prefix, right.size()));
    merges.push_back({std::move(left), std::move(right), std::move(result)});
  }
  return merges;
}

// The parts of kept tokens, their parts and so on. Tokens that no merge gives are the alphabet, which a text may need
// at any place.
void add_parts(const JsonCursor& model, const Pipeline& pipeline, std::set<int32_t>& kept) {
  const Vocabulary& vocabulary = pipeline.parts().model->vocabulary();
  std::unordered_map<int32_t, std::vector<std::pair<int32_t, int32_t>>> parts;  // by result
  for (const Merge& merge : merges_of(model)) {
    parts[vocabulary.find(merge.result)].emplace_back(vocabulary.find(merge.left), vocabulary.find(merge.right));
  }
  vocabulary.for_each([&](std::string_view, int32_t id) {
    if (!parts.contains(id)) kept.insert(id);
  });
  std::vector<int32_t> open(kept.begin(), kept.end());
  while (!open.empty()) {
    const auto found = parts.find(open.back());
    open.pop_back();
    if (found == parts.end()) continue;
    for (const auto& [left, right] : found->second) {
      for (const int32_t part : {left, right}) {
        if (kept.insert(part).second) open.push_back(part);
      }
    }
  }
}

// The first piece of the least score, on which the score of unknown characters depends, and the pieces of bytes.
void add_pieces(const JsonCursor& model, std::string_view text, const Pipeline& pipeline, std::set<int32_t>& kept) {
  for (const Rounding rounding : {Rounding::kNearest, Rounding::kSerde}) {  // each reader has its own least score
    const auto pieces = read_pieces(model["vocab"], text, rounding);
    const auto least = std::min_element(pieces.begin(), pieces.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
    if (least != pieces.end()) kept.insert(static_cast<int32_t>(least - pieces.begin()));
  }
  if (!model.flag("byte_fallback", false)) return;
  for (int byte = 0; byte < 256; ++byte) {
    const int32_t id = pipeline.parts().model->vocabulary().find(byte_token(static_cast<unsigned char>(byte)));
    if (id >= 0) kept.insert(id);
  }
}

// Writes the files anew.
class Pruning {
 public:
  Pruning(const FolderFiles& files, const Pipeline& pipeline, std::span<const int32_t> kept)
      : files_(files), pipeline_(pipeline), kept_(kept) {
    for (size_t i = 0; i < kept.size(); ++i) renumbered_.emplace(kept[i], static_cast<int32_t>(i));
  }

  FolderFiles run() const {
    FolderFiles result = files_;
    if (files_.has(kVocabFile)) result.set(kVocabFile, vocab_file());
    if (files_.has(kTokenizerFile)) result.set(kTokenizerFile, tokenizer_file());
    if (files_.has(kTokenizerConfigFile)) result.set(kTokenizerConfigFile, config_file());
    if (files_.has(kAddedTokensFile)) result.set(kAddedTokensFile, added_file());
    return result;
  }

 private:
  bool keeps(int64_t id) const {
    return id >= 0 && id <= std::numeric_limits<int32_t>::max() && renumbered_.contains(static_cast<int32_t>(id));
  }
  int32_t renumbered(int64_t id) const { return renumbered_.at(static_cast<int32_t>(id)); }
  // What a file says of an added token's id is not always the id it has.
  std::optional<int32_t> renumbered(std::string_view token) const {
    const int32_t id = pipeline_.id(token);
    return keeps(id) ? std::optional(renumbered(id)) : std::nullopt;
  }

  std::string vocab_file() const {
    const Vocabulary& vocabulary = pipeline_.parts().model->vocabulary();
    std::string lines;
    for (const int32_t id : kept_) {
      if (vocabulary.has(id)) lines += vocabulary.text(id) + "\n";
    }
    return lines;
  }

  std::string tokenizer_file() const {
    const JsonFile file = json_of(files_, kTokenizerFile);
    std::string out = "{";
    for (const auto& [key, value] : file.cursor().object()) {
      if (out.size() > 1) out += ',';
      out += quoted(key) + ":";
      const JsonCursor member = file.cursor()[key];
      if (key == "model") {
        out += model(member, file.text());
      } else if (key == "added_tokens" && value.is_array()) {
        out += json::serialize(added_tokens(value.get_array()));
      } else if (key == "post_processor" && value.is_object()) {
        out += json::serialize(post_processor(value.get_object()));
      } else if (key == "padding" && value.is_object()) {
        json::object padding = value.get_object();
        const int64_t id = member["pad_id"].integer(0, std::numeric_limits<int32_t>::max());
        padding["pad_id"] = keeps(id) ? renumbered(id) : 0;
        out += json::serialize(padding);
      } else {
        out += json::serialize(value);
      }
    }
    return out + "}\n";
  }

  std::string model(const JsonCursor& model, std::string_view text) const {
    std::string out = "{";
    for (const auto& [key, value] : model.object()) {
      if (out.size() > 1) out += ',';
      out += quoted(key) + ":";
      if (key == "vocab") {
        out += value.is_array() ? pieces(model[key], text) : vocabulary(model[key]);
      } else if (key == "merges" && value.is_array()) {
        out += json::serialize(merges(model));
      } else if (key == "unk_id" && value.is_int64()) {
        const int64_t id = value.get_int64();  // some classes have an id of their own instead
        out += std::to_string(renumbered(keeps(id) ? id : pipeline_.parts().model->unknown()));
      } else {
        out += json::serialize(value);
      }
    }
    return out + "}";
  }

  // The scores keep their spelling: readers of JSON round other spellings of a number differently.
  std::string pieces(const JsonCursor& vocabulary, std::string_view text) const {
    const json::array& list = vocabulary.array();
    const std::vector<std::string_view> scores = unigram_score_texts(text);
    std::string out = "[";
    for (const int32_t id : kept_) {
      if (static_cast<size_t>(id) >= list.size()) continue;  // an added token
      const auto place = static_cast<size_t>(id);
      const json::array& piece = list[place].as_array();
      if (out.size() > 1) out += ',';
      out += fmt::format("[{},", json::serialize(piece[0]));
      out += scores.size() == list.size() ? std::string(scores[place]) : json::serialize(piece[1]);
      out += "]";
    }
    return out + "]";
  }

  std::string vocabulary(const JsonCursor& given) const {
    std::vector<std::pair<int32_t, std::string_view>> tokens;
    for (const auto& [token, id] : given.object()) {
      if (id.is_int64() && keeps(id.get_int64()))
        tokens.emplace_back(renumbered(id.get_int64()), std::string_view(token));
    }
    std::sort(tokens.begin(), tokens.end());
    json::object result;
    result.reserve(tokens.size());
    for (const auto& [id, token] : tokens) result[token] = id;
    return json::serialize(result);
  }

  json::array merges(const JsonCursor& model) const {
    json::array result;
    const json::array& given = model["merges"].array();
    const std::vector<Merge> read = merges_of(model);
    const bool pairs = !given.empty() && given[0].is_array();
    for (const Merge& merge : read) {
      if (!keeps(pipeline_.parts().model->vocabulary().find(merge.result))) continue;
      if (pairs) {
        result.push_back(json::array{std::string_view(merge.left), std::string_view(merge.right)});
      } else {
        result.push_back(json::string(merge.left + " " + merge.right));
      }
    }
    return result;
  }

  json::array added_tokens(const json::array& given) const {
    json::array result;
    for (const json::value& entry : given) {
      json::object token = entry.as_object();
      const auto id = renumbered(std::string_view(token.at("content").as_string()));
      if (!id) continue;
      token["id"] = *id;
      result.push_back(std::move(token));
    }
    return result;
  }

  json::object post_processor(json::object stage) const {
    for (const char* end : {"cls", "sep"}) {  // ["[CLS]", 101]
      json::value* pair = stage.if_contains(end);
      if (pair == nullptr || !pair->is_array() || pair->get_array().size() != 2) continue;
      json::value& id = pair->get_array()[1];
      if (id.is_int64() && keeps(id.get_int64())) id = renumbered(id.get_int64());
    }
    if (json::value* tokens = stage.if_contains("special_tokens"); tokens != nullptr && tokens->is_object()) {
      for (auto& entry : tokens->get_object()) {
        for (json::value& id : entry.value().at("ids").as_array()) {
          id = keeps(id.as_int64()) ? renumbered(id.get_int64()) : 0;  // else no template has it
        }
      }
    }
    if (json::value* stages = stage.if_contains("processors"); stages != nullptr && stages->is_array()) {
      for (json::value& inner : stages->get_array()) inner = post_processor(inner.as_object());
    }
    return stage;
  }

  std::string config_file() const {
    const JsonFile file = json_of(files_, kTokenizerConfigFile);
    json::object config = file.cursor().object();
    if (json::value* decoder = config.if_contains("added_tokens_decoder"); decoder != nullptr && decoder->is_object()) {
      std::vector<std::pair<int32_t, json::value>> tokens;
      for (const auto& entry : decoder->get_object()) {
        const auto id = renumbered(std::string_view(entry.value().at("content").as_string()));
        if (id) tokens.emplace_back(*id, entry.value());
      }
      std::sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
      json::object result;
      for (auto& [id, token] : tokens) result[std::to_string(id)] = std::move(token);
      *decoder = std::move(result);
    }
    return json::serialize(config) + "\n";
  }

  std::string added_file() const {
    const JsonFile file = json_of(files_, kAddedTokensFile);
    json::object result;
    for (const auto& entry : file.cursor().object()) {
      if (const auto id = renumbered(std::string_view(entry.key()))) result[entry.key()] = *id;
    }
    return json::serialize(result) + "\n";
  }

  const FolderFiles& files_;
  const Pipeline& pipeline_;
  std::span<const int32_t> kept_;
  std::unordered_map<int32_t, int32_t> renumbered_;
};

}  // namespace

std::vector<int32_t> kept_ids(const FolderFiles& files, const Pipeline& pipeline, std::set<int32_t> used) {
  const PipelineParts& parts = pipeline.parts();
  for (const AddedTokens::Entry& entry : parts.added.entries()) used.insert(entry.id);
  for (const auto* sides : {&parts.post_processing.single, &parts.post_processing.pair}) {
    for (const PostProcessing::Part& part : *sides) used.insert(part.ids.begin(), part.ids.end());
  }
  if (parts.model->unknown() >= 0) used.insert(parts.model->unknown());
  if (files.has(kTokenizerFile)) {
    const JsonFile file = json_of(files, kTokenizerFile);
    const JsonCursor model = file.cursor()["model"];
    if (model.find("merges")) {
      add_parts(model, pipeline, used);
    } else if (model["vocab"].value().is_array()) {
      // `transformers` 5.23 fixes the place of the unknown piece for XLM-R (3) and ALBERT (1), whatever the file says.
      // So the pieces before it stay.
      for (int32_t id = 0; id < parts.model->unknown(); ++id) used.insert(id);
      add_pieces(model, file.text(), pipeline, used);
    }
  }
  std::erase_if(used, [&](int32_t id) { return id < 0 || pipeline.token(id).empty(); });
  return {used.begin(), used.end()};
}

FolderFiles pruned_files(const FolderFiles& files, const Pipeline& pipeline, std::span<const int32_t> kept) {
  // Parts of the files that no one has read before may have any form.
  const auto damaged = [&](const std::exception& error) {
    return DataError(
        fmt::format("{}: the tokenizer's files cannot be pruned: {}", files.directory().string(), error.what()));
  };
  try {
    return Pruning(files, pipeline, kept).run();
  } catch (const boost::system::system_error& error) { throw damaged(error); } catch (const std::logic_error& error) {
    throw damaged(error);
  }
}

}  // namespace qing::nn::text
