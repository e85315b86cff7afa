// All stages of a tokenizer, as tokenizer.json describes them (https://huggingface.co/docs/tokenizers/pipeline): added
// tokens, normalizer, pre-tokenizer, model, truncation, post-processor, decoder. Ids and offsets equal those of
// `tokenizers` 0.23.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/text/pipeline/added_tokens.h>
#include <qing/nn/text/pipeline/decoders.h>
#include <qing/nn/text/pipeline/encoding.h>
#include <qing/nn/text/pipeline/normalizers.h>
#include <qing/nn/text/pipeline/post_processing.h>
#include <qing/nn/text/pipeline/pre_tokenizers.h>
#include <qing/nn/text/pipeline/token_model.h>

namespace qing::nn::text {

struct PipelineParts {
  std::unique_ptr<Normalizer> normalizer;       ///< may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer;  ///< may be null
  std::unique_ptr<TokenModel> model;
  AddedTokens added;
  PostProcessing post_processing;
  std::unique_ptr<Decoder> decoder;  ///< may be null: tokens are joined by spaces
  std::optional<Truncation> truncation;
  bool split_special_tokens = false;  ///< treats special tokens in a text as plain text

  /// The id of a token, -1 when there is no such token.
  int32_t id(std::string_view token) const {
    const int32_t own = added.find(token);
    return own >= 0 ? own : model->vocabulary().find(token);
  }
};

/// Immutable; thread-safe.
class Pipeline {
 public:
  explicit Pipeline(PipelineParts parts);

  /// The first window. DataError names the first byte that is not UTF-8. ValueError for a text of more than 256 MiB,
  /// and for a truncation that is an error in `tokenizers` too.
  Encoding encode(std::string_view text, std::optional<std::string_view> second = {}) const;
  /// All windows that the truncation cuts a text into, in the order of `tokenizers`: the first, then its overflow.
  std::vector<Encoding> windows(std::string_view text, std::optional<std::string_view> second = {}) const;
  /// Ids without a token are left out.
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  /// -1 when there is no such token.
  int32_t id(std::string_view token) const;
  /// Empty for an id without a token.
  std::string token(int32_t id) const;
  /// One above the highest id: the rows that an embedding needs.
  int32_t id_end() const;
  const PipelineParts& parts() const { return parts_; }

 private:
  static constexpr size_t kAll = std::numeric_limits<size_t>::max();
  // Stops soon after `most` tokens.
  void tokenize(std::string_view text, size_t most, TokenSequence& tokens) const;
  Encoding assemble(const TokenSequence (&sequences)[2], const std::string_view (&texts)[2], const Window (&kept)[2],
                    bool is_pair) const;
  // The windows of two texts of so many tokens.
  std::pair<std::vector<Window>, std::vector<Window>> cut(size_t first, std::optional<size_t> second) const;

  PipelineParts parts_;
  uint64_t serial_;  // identifies this pipeline in the word caches of threads
};

}  // namespace qing::nn::text
