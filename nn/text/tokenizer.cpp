#include <qing/nn/text/tokenizer.h>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include <qing/nn/text/folder_files.h>
#include <qing/nn/text/pipeline/pipeline.h>
#include <qing/nn/text/pipeline/pipeline_reader.h>
#include <qing/nn/text/transformers_folder.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

text::Vocabulary checked(const std::vector<std::string>& tokens) {
  text::Vocabulary vocabulary;
  vocabulary.reserve(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string& token = tokens[i];
    if (token.find_first_of("\r\n") != std::string::npos) {
      throw ValueError(fmt::format("vocabulary: the token with id {} has a line break inside", i));
    }
    if (vocabulary.find(token) >= 0) {
      throw ValueError(fmt::format("vocabulary: '{}' appears twice, the second time as id {}", token, i));
    }
    vocabulary.add(token, static_cast<int32_t>(i));
  }
  for (const std::string_view special : kSpecialTokens) {
    if (vocabulary.find(special) < 0) throw ValueError(fmt::format("vocabulary: {} is missing", special));
  }
  return vocabulary;
}

}  // namespace

Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer::Tokenizer(const std::vector<std::string>& vocabulary, TokenizerOptions options) : options_(options) {
  if (options_.max_length < 2) {
    throw ValueError(
        fmt::format("tokenizer: max_length is {}; it must leave room for [CLS] and [SEP]", options_.max_length));
  }
  text::PipelineParts parts;
  parts.model = text::wordpiece_model(checked(vocabulary), {.most_characters = kMaxWordCharacters});
  parts.normalizer = text::bert_normalizer({.clean_text = true,
                                            .handle_chinese_chars = options_.tokenize_chinese_chars,
                                            .strip_accents = options_.strip_accents,
                                            .lowercase = options_.lowercase});
  parts.pre_tokenizer = text::bert_pre_tokenizer();
  parts.decoder = text::wordpiece_decoder("##", true);
  std::vector<text::AddedToken> added;
  for (size_t i = 0; i < std::size(kSpecialTokens); ++i) {
    added.push_back({.content = std::string(kSpecialTokens[i]), .normalized = false, .special = true});
    special_[i] = parts.model->vocabulary().find(kSpecialTokens[i]);
  }
  parts.added.add(added, *parts.model);
  parts.post_processing = text::bert_processing(cls_id(), sep_id());
  parts.truncation = Truncation{.max_length = static_cast<size_t>(options_.max_length)};
  pipeline_ = std::make_unique<text::Pipeline>(std::move(parts));
}

Encoding Tokenizer::encode(std::string_view text) const { return pipeline_->encode(text); }

Encoding Tokenizer::encode(std::string_view text, std::string_view second) const {
  return pipeline_->encode(text, second);
}

std::vector<Encoding> Tokenizer::windows(std::string_view text, std::optional<std::string_view> second) const {
  return pipeline_->windows(text, second);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  return pipeline_->decode(ids, skip_special_tokens);
}

int32_t Tokenizer::vocab_size() const { return pipeline_->id_end(); }

int32_t Tokenizer::special_tokens() const {
  return static_cast<int32_t>(pipeline_->parts().post_processing.added(false));
}

std::string Tokenizer::token(int32_t id) const {
  if (id < 0 || id >= vocab_size()) throw IndexError(fmt::format("token: id {} is outside [0, {})", id, vocab_size()));
  return pipeline_->token(id);
}

int32_t Tokenizer::id(std::string_view token) const {
  const int32_t found = pipeline_->id(token);
  return found < 0 ? unk_id() : found;
}

}  // namespace qing::nn
