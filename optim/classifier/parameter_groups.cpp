#include <qing/optim/classifier/parameter_groups.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>

#include <qing/nn/layers/linear.h>

namespace qing::optim {
namespace {

// The embeddings' prefix is also that of their projection (ELECTRA, ALBERT).
constexpr std::string_view kEmbeddings = "bert.embeddings", kEncoder = "bert.encoder.", kLayer = "bert.encoder.layer.";

// How many layers lie between a parameter and the logits: 0 after the encoder, 1 for its last layer. MPNet's relative
// positions count as embeddings, because every layer uses them. ALBERT's layers are counted once.
int64_t depth_of(std::string_view name, const nn::EncoderConfig& config) {
  const bool shared = config.family == nn::EncoderFamily::albert;
  const int64_t layers = shared ? config.num_hidden_groups * config.inner_group_num : config.num_hidden_layers;
  if (name.starts_with(kEmbeddings)) return layers + 1;
  if (!name.starts_with(kLayer)) return name.starts_with(kEncoder) ? layers + 1 : 0;
  int64_t layer = 0;
  std::from_chars(name.data() + kLayer.size(), name.data() + name.size(), layer);
  return layers - layer;
}

}  // namespace

void choose_parameters(nn::EncoderForSequenceClassification& model, const TrainOptions& o, Generator& rng) {
  model.set_requires_grad(true);
  if (o.head_only == 0 && o.lora_rank == 0) return;
  for (auto& [name, parameter] : model.named_parameters()) {
    if (name.starts_with(kEmbeddings) || name.starts_with(kEncoder)) set_requires_grad(parameter, false);
  }
  if (o.lora_rank > 0) nn::add_lora(model.get_submodule("bert.encoder"), o.lora_rank, o.lora_alpha, rng);
}

std::vector<ParameterGroup<AdamWOptions>> parameter_groups(nn::Module& model, const nn::EncoderConfig& encoder,
                                                           nn::NgramHead* ngrams, const TrainOptions& o) {
  std::map<std::pair<int64_t, bool>, ParameterGroup<AdamWOptions>> by_depth;  // of matrices, then of the others
  for (const auto& [name, parameter] : model.named_parameters()) {
    if (!requires_grad(parameter)) continue;
    const int64_t depth = o.layer_decay == 1 ? 0 : depth_of(name, encoder);
    const bool matrix = parameter.dim() > 1;
    ParameterGroup<AdamWOptions>& group = by_depth[{depth, !matrix}];
    group.options = o.adamw();
    group.options.lr *= std::pow(o.layer_decay, static_cast<double>(depth));
    if (!matrix) group.options.weight_decay = 0;
    group.parameters.push_back(parameter);
  }
  std::vector<ParameterGroup<AdamWOptions>> groups;
  groups.reserve(by_depth.size() + 1);
  for (auto& [key, group] : by_depth) groups.push_back(std::move(group));
  if (ngrams != nullptr) {
    AdamWOptions options = o.adamw();
    options.lr = o.ngram_lr;
    options.weight_decay = o.ngram_weight_decay;
    options.lazy = true;
    groups.push_back({ngrams->parameters(), options});
  }
  return groups;
}

}  // namespace qing::optim
