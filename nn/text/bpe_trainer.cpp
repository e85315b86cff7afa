#include <qing/nn/text/bpe_trainer.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include <qing/nn/text/pair_merger.h>
#include <qing/nn/text/pipeline/byte_level.h>
#include <qing/nn/text/tokenizer_json.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

class BpeTrainer {
 public:
  BpeTrainer(std::span<const std::string> texts, const std::vector<std::string>& special, int32_t size,
             int64_t min_frequency)
      : size_(static_cast<size_t>(size)), min_frequency_(min_frequency) {
    for (const std::string& token : special) add(token);
    std::map<char32_t, unsigned char> bytes;  // in the order of their characters
    for (int byte = 0; byte < 256; ++byte) {
      bytes.emplace(text::byte_character(static_cast<unsigned char>(byte)), static_cast<unsigned char>(byte));
    }
    for (const auto& [character, byte] : bytes) byte_ids_[byte] = add(std::string(text::byte_text(byte)));
    spell(texts);
  }

  // The model of tokenizer.json.
  json::object run() && {
    text::PairMerger merger(
        std::move(words_), min_frequency_,
        [this](text::PiecePair pair) { return add(tokens_[left(pair)] + tokens_[right(pair)]); },
        [](text::PiecePair a, text::PiecePair b) { return a < b; });
    json::array merges;
    while (tokens_.size() < size_) {
      const auto pair = merger.merge_next();
      if (!pair) break;
      merges.emplace_back(json::array{tokens_[left(*pair)], tokens_[right(*pair)]});
    }
    json::object vocabulary;
    for (size_t id = 0; id < tokens_.size(); ++id) vocabulary[tokens_[id]] = id;
    return {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", std::move(vocabulary)},
            {"merges", std::move(merges)}};
  }

 private:
  static size_t left(text::PiecePair pair) { return static_cast<size_t>(text::left_of(pair)); }
  static size_t right(text::PiecePair pair) { return static_cast<size_t>(text::right_of(pair)); }

  // "ab"+"c" and "a"+"bc" give the same token.
  int32_t add(std::string token) {
    const auto [entry, fresh] = ids_.emplace(token, static_cast<int32_t>(tokens_.size()));
    if (fresh) tokens_.push_back(std::move(token));
    return entry->second;
  }

  void spell(std::span<const std::string> texts) {
    std::unordered_map<std::string, int64_t> counts;
    for (size_t i = 0; i < texts.size(); ++i) {
      if (const auto at = find_invalid_utf8(texts[i])) {
        throw DataError(fmt::format("text {}: byte {} is not UTF-8", i, *at));
      }
      for (size_t begin = 0; begin < texts[i].size();) {
        const size_t end = text::byte_level_word_end(texts[i], begin);
        ++counts[texts[i].substr(begin, end - begin)];
        begin = end;
      }
    }
    for (const auto& [word, count] : counts) {
      if (word.size() < 2) continue;
      text::TrainingWord& spelled = words_.emplace_back(text::TrainingWord{{}, count});
      for (const char byte : word) spelled.pieces.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
    }
  }

  size_t size_;
  int64_t min_frequency_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  int32_t byte_ids_[256] = {};
  std::vector<text::TrainingWord> words_;
};

}  // namespace

Tokenizer train_byte_level_bpe(std::span<const std::string> texts, int32_t size, int32_t max_length,
                               int64_t min_frequency) {
  return train_byte_level_bpe(texts, size, BpeOptions{.max_length = max_length, .min_frequency = min_frequency});
}

Tokenizer train_byte_level_bpe(std::span<const std::string> texts, int32_t size, const BpeOptions& options) {
  std::vector<std::string> special(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  for (const std::string& token : options.more_special_tokens) {
    if (token.empty() || std::ranges::count(special, token) > 0) {
      throw ValueError(fmt::format("train_byte_level_bpe: the special token '{}' is {}", token,
                                   token.empty() ? "empty" : "there already"));
    }
    special.push_back(token);
  }
  const auto least = kSmallestByteLevelVocabulary + static_cast<int32_t>(options.more_special_tokens.size());
  if (size < least) {
    throw ValueError(
        fmt::format("train_byte_level_bpe: size is {}; the special tokens and the bytes alone are {}", size, least));
  }
  if (options.min_frequency < 1) {
    throw ValueError(
        fmt::format("train_byte_level_bpe: min_frequency is {}; it must be at least 1", options.min_frequency));
  }
  const json::object model = BpeTrainer(texts, special, size, options.min_frequency).run();
  const json::object bytes = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const text::KnownToken known = [&](std::string_view token) {
    return static_cast<int32_t>(std::ranges::find(special, token) - special.begin());
  };
  const json::object pipeline = {
      {"version", "1.0"},
      {"truncation", text::truncation_json(options.max_length)},
      {"padding", nullptr},
      {"added_tokens", text::special_tokens_json(known, options.more_special_tokens)},
      {"normalizer", nullptr},
      {"pre_tokenizer", bytes},
      {"post_processor", options.begins_with_cls ? text::bert_template_json(known) : text::ending_template_json(known)},
      {"decoder", bytes},
      {"model", model}};
  json::object config = text::special_token_names();
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  config["model_max_length"] = options.max_length;
  return Tokenizer::described(json::serialize(pipeline) + "\n", json::serialize(config) + "\n");
}

}  // namespace qing::nn
