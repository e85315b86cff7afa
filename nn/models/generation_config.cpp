#include <qing/nn/models/generation_config.h>

#include <fmt/format.h>

#include <limits>
#include <string>
#include <utility>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

int32_t token_of(const ConfigReader& reader, std::string_view field, const json::value& value) {
  if (value.is_int64() && value.get_int64() >= 0 && value.get_int64() <= std::numeric_limits<int32_t>::max()) {
    return static_cast<int32_t>(value.get_int64());
  }
  reader.fail(fmt::format("{}: {} is not a token id", field, json::serialize(value)));
}

// Fields of other ways to generate, with the values that leave results as they are.
void refuse_other_generation(const ConfigReader& reader) {
  for (const std::string_view field :
       {"force_words_ids", "constraints", "encoder_no_repeat_ngram_size", "sequence_bias", "begin_suppress_tokens",
        "exponential_decay_length_penalty", "penalty_alpha", "dola_layers", "watermarking_config", "stop_strings"}) {
    const json::value* value = reader.find(field);
    const bool zero = value != nullptr && value->is_number() && value->to_number<double>() == 0;
    const bool empty = value != nullptr && value->is_array() && value->get_array().empty();
    if (value != nullptr && !zero && !empty) {
      reader.fail(fmt::format("{}: {} is not supported", field, json::serialize(*value)));
    }
  }
  for (const auto& [field, neutral] : {std::pair{"num_beam_groups", 1.0},
                                       {"diversity_penalty", 0.0},
                                       {"encoder_repetition_penalty", 1.0},
                                       {"guidance_scale", 1.0},
                                       {"typical_p", 1.0},
                                       {"epsilon_cutoff", 0.0},
                                       {"eta_cutoff", 0.0},
                                       {"min_p", 0.0}}) {
    double value = neutral;
    reader.optional(field, value);
    if (value != neutral) reader.fail(fmt::format("{}: {} is not supported; only {} is", field, value, neutral));
  }
}

std::vector<int32_t> read_bad_words(const ConfigReader& reader) {
  std::vector<int32_t> tokens;
  const json::value* value = reader.find("bad_words_ids");
  if (value == nullptr) return tokens;
  if (!value->is_array()) reader.fail("bad_words_ids: must be a list of lists of token ids");
  for (const json::value& word : value->get_array()) {
    if (!word.is_array() || word.get_array().size() != 1) {
      reader.fail(
          fmt::format("bad_words_ids: {} is not supported; only lists of one token are", json::serialize(word)));
    }
    tokens.push_back(token_of(reader, "bad_words_ids", word.get_array()[0]));
  }
  return tokens;
}

EarlyStopping read_early_stopping(const ConfigReader& reader) {
  const json::value* value = reader.find("early_stopping");
  if (value == nullptr) return EarlyStopping::no;
  if (value->is_bool()) return value->get_bool() ? EarlyStopping::yes : EarlyStopping::no;
  if (value->is_string() && value->get_string() == "never") return EarlyStopping::never;
  reader.fail(fmt::format("early_stopping: {} is none of true, false and \"never\"", json::serialize(*value)));
}

void read_sampling(const ConfigReader& reader, DecodingOptions& options) {
  bool sample = false;
  reader.optional("do_sample", sample);
  if (!sample) return;
  if (options.beam_size > 1) reader.fail("do_sample: true is not supported with num_beams above 1");
  options.temperature = 1;
  options.top_k = 50;
  reader.optional("temperature", options.temperature);
  reader.optional("top_k", options.top_k);
  reader.optional("top_p", options.top_p);
}

// Lengths of transformers count the start token.
void read_lengths(const ConfigReader& reader, DecodingOptions& options) {
  int64_t longest = 0, shortest = 0;
  reader.optional("max_length", longest);
  reader.optional("min_length", shortest);
  if (longest > 1) options.max_tokens = longest - 1;
  if (shortest > 1) options.min_tokens = shortest - 1;
  reader.optional("max_new_tokens", options.max_tokens);
  reader.optional("min_new_tokens", options.min_tokens);
}

}  // namespace

std::vector<int32_t> read_token_ids(const ConfigReader& reader, std::string_view field) {
  const json::value* value = reader.find(field);
  if (value == nullptr) return {};
  if (!value->is_array()) return {token_of(reader, field, *value)};
  std::vector<int32_t> tokens;
  for (const json::value& each : value->get_array()) tokens.push_back(token_of(reader, field, each));
  return tokens;
}

std::optional<int32_t> read_token_id(const ConfigReader& reader, std::string_view field) {
  const std::vector<int32_t> tokens = read_token_ids(reader, field);
  if (tokens.size() > 1) reader.fail(fmt::format("{}: several tokens are not supported; only one is", field));
  return tokens.empty() ? std::nullopt : std::optional(tokens.front());
}

DecodingOptions read_generation_options(const ConfigReader& reader) {
  refuse_other_generation(reader);
  DecodingOptions options;
  reader.optional("num_beams", options.beam_size);
  reader.optional("num_return_sequences", options.best);
  reader.optional("length_penalty", options.length_penalty);
  reader.optional("repetition_penalty", options.repetition_penalty);
  reader.optional("no_repeat_ngram_size", options.no_repeat_ngram_size);
  reader.optional("renormalize_logits", options.renormalize);
  options.early_stopping = read_early_stopping(reader);
  options.suppressed = read_bad_words(reader);
  for (const int32_t token : read_token_ids(reader, "suppress_tokens")) options.suppressed.push_back(token);
  options.forced_bos = read_token_id(reader, "forced_bos_token_id");
  options.forced_eos = read_token_id(reader, "forced_eos_token_id");
  read_lengths(reader, options);
  read_sampling(reader, options);
  try {
    options.validate();
  } catch (const ValueError& error) { reader.fail(error.what()); }
  return options;
}

}  // namespace qing::nn
