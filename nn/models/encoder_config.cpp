#include <qing/nn/models/encoder_config.h>

#include <fmt/format.h>

#include <array>
#include <cmath>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

using enum EncoderFamily;

// Far above any model that fits a machine: keeps products of sizes inside int64.
constexpr int64_t kMaxSize = int64_t{1} << 24;
// MPNet's classes ignore relative_attention_num_buckets when they sort distances into buckets, and pad_token_id when
// they number positions (transformers 5.23, modeling_mpnet.py).
constexpr int64_t kMpnetBuckets = 32, kMpnetPadding = 1;

constexpr std::array<EncoderFamilyNames, 7> kFamilies = {{
    {bert, "bert", "Bert", "bert"},
    {distilbert, "distilbert", "DistilBert", "distilbert"},
    {roberta, "roberta", "Roberta", "roberta"},
    {xlm_roberta, "xlm-roberta", "XLMRoberta", "roberta"},
    {electra, "electra", "Electra", "electra"},
    {albert, "albert", "Albert", "albert"},
    {mpnet, "mpnet", "MPNet", "mpnet"},
}};

}  // namespace

const EncoderFamilyNames& names_of(EncoderFamily family) { return kFamilies.at(static_cast<size_t>(family)); }

std::span<const EncoderFamilyNames> family_names() { return kFamilies; }

bool EncoderConfig::has_token_types() const { return family != distilbert && family != mpnet; }

bool EncoderConfig::has_embedding_size() const { return family == electra || family == albert; }

bool EncoderConfig::projects_embeddings() const {
  return family == albert || (family == electra && embedding_width() != hidden_size);
}

int64_t EncoderConfig::first_position() const {
  if (family == roberta || family == xlm_roberta) return pad_token_id + 1;
  return family == mpnet ? kMpnetPadding + 1 : 0;
}

void EncoderConfig::validate() const {
  const auto positive = [](const char* field, int64_t value) {
    if (value < 1 || value > kMaxSize)
      throw ValueError(fmt::format("{}: {} is outside [1, {}]", field, value, kMaxSize));
  };
  positive("vocab_size", vocab_size);
  positive("hidden_size", hidden_size);
  positive("embedding_size", embedding_width());
  positive("num_hidden_layers", num_hidden_layers);
  positive("num_hidden_groups", num_hidden_groups);
  positive("inner_group_num", inner_group_num);
  positive("num_attention_heads", num_attention_heads);
  positive("intermediate_size", intermediate_size);
  positive("max_position_embeddings", max_position_embeddings);
  positive("type_vocab_size", type_vocab_size);
  if (hidden_size % num_attention_heads != 0) {
    throw ValueError(
        fmt::format("hidden_size: {} is not a multiple of num_attention_heads {}", hidden_size, num_attention_heads));
  }
  if (embedding_width() != hidden_size && !has_embedding_size()) {
    throw ValueError(fmt::format("embedding_size: {} is not hidden_size {}, and {} has no layer between",
                                 embedding_size, hidden_size, names_of(family).model_type));
  }
  if (family != albert && (num_hidden_groups != 1 || inner_group_num != 1)) {
    throw ValueError(fmt::format("num_hidden_groups: {} has no groups of layers", names_of(family).model_type));
  }
  if (num_hidden_groups > num_hidden_layers) {
    throw ValueError(fmt::format("num_hidden_groups: {} groups of {} layers", num_hidden_groups, num_hidden_layers));
  }
  if (family == mpnet && relative_attention_num_buckets < kMpnetBuckets) {
    throw ValueError(fmt::format("relative_attention_num_buckets: {} rows for distances in {} buckets",
                                 relative_attention_num_buckets, kMpnetBuckets));
  }
  if (first_position() < 0 || max_tokens() < 1) {
    throw ValueError(fmt::format("max_position_embeddings: {} rows, of which the first token has number {}",
                                 max_position_embeddings, first_position()));
  }
  const auto probability = [](const char* field, double value) {
    if (!(value >= 0 && value < 1)) throw ValueError(fmt::format("{}: {} is outside [0, 1)", field, value));
  };
  probability("hidden_dropout_prob", hidden_dropout_prob);
  probability("attention_probs_dropout_prob", attention_probs_dropout_prob);
  probability("classifier_dropout", classifier_dropout.value_or(0));
  if (!(layer_norm_eps > 0 && layer_norm_eps < 1)) {
    throw ValueError(fmt::format("layer_norm_eps: {} is outside (0, 1)", layer_norm_eps));
  }
  if (!(initializer_range >= 0 && std::isfinite(initializer_range))) {
    throw ValueError(fmt::format("initializer_range: {} is not finite and at least 0", initializer_range));
  }
}

}  // namespace qing::nn
