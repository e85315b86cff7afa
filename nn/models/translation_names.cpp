// The names of parameters in transformers' encoder-decoders, and in TranslationModel.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <qing/nn/models/translation_import.h>

namespace qing::nn {
namespace {

using NamePair = std::pair<std::string_view, std::string_view>;

// Parts of names, as Marian, BART and M2M-100 have them. The first that is found counts.
constexpr NamePair kBartParts[] = {
    {".self_attn.q_proj.", ".attention.query."},
    {".self_attn.k_proj.", ".attention.key."},
    {".self_attn.v_proj.", ".attention.value."},
    {".self_attn.out_proj.", ".attention.output."},
    {".self_attn_layer_norm.", ".attention_norm."},
    {".encoder_attn.q_proj.", ".memory_attention.query."},
    {".encoder_attn.k_proj.", ".memory_attention.key."},
    {".encoder_attn.v_proj.", ".memory_attention.value."},
    {".encoder_attn.out_proj.", ".memory_attention.output."},
    {".encoder_attn_layer_norm.", ".memory_norm."},
    {".fc1.", ".feed_forward.wide."},
    {".fc2.", ".feed_forward.narrow."},
    {".final_layer_norm.", ".feed_forward_norm."},
    {".layernorm_embedding.", ".embedding_norm."},
    {".embed_positions.", ".positions."},
    {".layer_norm.", ".norm."},
};

// T5's. The number of a sublayer says what its norm is.
constexpr NamePair kT5Parts[] = {
    {".SelfAttention.q.", ".attention.query."},          {".SelfAttention.k.", ".attention.key."},
    {".SelfAttention.v.", ".attention.value."},          {".SelfAttention.o.", ".attention.output."},
    {".EncDecAttention.q.", ".memory_attention.query."}, {".EncDecAttention.k.", ".memory_attention.key."},
    {".EncDecAttention.v.", ".memory_attention.value."}, {".EncDecAttention.o.", ".memory_attention.output."},
    {".DenseReluDense.wi_0.", ".feed_forward.gate."},    {".DenseReluDense.wi_1.", ".feed_forward.wide."},
    {".DenseReluDense.wi.", ".feed_forward.wide."},      {".DenseReluDense.wo.", ".feed_forward.narrow."},
};

std::string with_part(std::string_view name, size_t at, size_t length, std::string_view part) {
  return std::string(name.substr(0, at)) + std::string(part) + std::string(name.substr(at + length));
}

// "encoder.block.3.layer.1.DenseReluDense.wi.weight"
std::string t5_name(std::string_view name) {
  const bool encoder = name.starts_with("encoder.");
  if (name.ends_with(".relative_attention_bias.weight")) {
    return encoder ? "encoder.relative_bias.weight" : "decoder.relative_bias.weight";
  }
  if (name.ends_with(".final_layer_norm.weight")) return encoder ? "encoder.norm.weight" : "decoder.norm.weight";
  const size_t block = name.find(".block."), sublayer = name.find(".layer.");
  if (block == name.npos || sublayer == name.npos || sublayer < block) return std::string(name);
  const std::string front =
      std::string(name.substr(0, block)) + ".layers." + std::string(name.substr(block + 7, sublayer - block - 7));
  const size_t number_end = std::min(name.find('.', sublayer + 7), name.size());
  const std::string_view number = name.substr(sublayer + 7, number_end - sublayer - 7), rest = name.substr(number_end);
  if (rest == ".layer_norm.weight") {
    if (number == "0") return front + ".attention_norm.weight";
    return front + (number == "1" && !encoder ? ".memory_norm.weight" : ".feed_forward_norm.weight");
  }
  for (const auto& [theirs, ours] : kT5Parts) {
    if (rest.starts_with(theirs)) return front + with_part(rest, 0, theirs.size(), ours);
  }
  return std::string(name);
}

}  // namespace

std::string translation_parameter_name(std::string_view name, bool tied) {
  if (name.starts_with("model.")) name.remove_prefix(6);
  const bool table = name == "shared.weight";
  if (table) return tied ? "output.weight" : "embeddings.weight";
  if (name == "lm_head.weight") return tied ? "" : "output.weight";
  if (name == "encoder.embed_tokens.weight" || name == "decoder.embed_tokens.weight") return "";
  if (name == "final_logits_bias" || name == "lm_head.bias") return "output.bias";
  if (name.find(".block.") != name.npos || name == "encoder.final_layer_norm.weight" ||
      name == "decoder.final_layer_norm.weight") {
    return t5_name(name);
  }
  for (const auto& [theirs, ours] : kBartParts) {
    if (const size_t at = name.find(theirs); at != name.npos) return with_part(name, at, theirs.size(), ours);
  }
  return std::string(name);
}

}  // namespace qing::nn
