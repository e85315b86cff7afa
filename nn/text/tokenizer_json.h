// Parts of tokenizer.json (https://huggingface.co/docs/tokenizers) and tokenizer_config.json that tokenizers with
// BERT's special tokens have in common.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace qing::nn::text {

/// The id of a special token.
using KnownToken = std::function<int32_t(std::string_view)>;

boost::json::object truncation_json(int32_t max_length);
/// kSpecialTokens, then `more`.
boost::json::array special_tokens_json(const KnownToken& id, std::span<const std::string> more = {});
/// [CLS] and [SEP] around a text, [SEP] after a second one.
boost::json::object bert_template_json(const KnownToken& id);
/// [SEP] behind a text, and behind a second one.
boost::json::object ending_template_json(const KnownToken& id);
/// "pad_token": "[PAD]" and so on.
boost::json::object special_token_names();

}  // namespace qing::nn::text
