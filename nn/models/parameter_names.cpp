#include <qing/nn/models/parameter_names.h>

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

namespace qing::nn {
namespace {

using enum EncoderFamily;

struct Renaming {
  std::string_view family, ours;
};

// Parts of the encoder, behind its own name. The first that occurs is replaced.
constexpr Renaming kDistilbertEncoder[] = {
    {"transformer.layer.", "encoder.layer."},
};
constexpr Renaming kDistilbertLayer[] = {
    {".attention.q_lin.", ".attention.self.query."},
    {".attention.k_lin.", ".attention.self.key."},
    {".attention.v_lin.", ".attention.self.value."},
    {".attention.out_lin.", ".attention.output.dense."},
    {".sa_layer_norm.", ".attention.output.LayerNorm."},
    {".ffn.lin1.", ".intermediate.dense."},
    {".ffn.lin2.", ".output.dense."},
    {".output_layer_norm.", ".output.LayerNorm."},
};
constexpr Renaming kAlbertEncoder[] = {
    {"encoder.embedding_hidden_mapping_in.", "embeddings_project."},
    {"pooler.", "pooler.dense."},
};
constexpr Renaming kAlbertLayer[] = {
    {".attention.query.", ".attention.self.query."},
    {".attention.key.", ".attention.self.key."},
    {".attention.value.", ".attention.self.value."},
    {".attention.dense.", ".attention.output.dense."},
    {".attention.LayerNorm.", ".attention.output.LayerNorm."},
    {".ffn_output.", ".output.dense."},
    {".ffn.", ".intermediate.dense."},
    {".full_layer_layer_norm.", ".output.LayerNorm."},
};
constexpr Renaming kMpnetLayer[] = {
    {".attention.attn.q.", ".attention.self.query."},          {".attention.attn.k.", ".attention.self.key."},
    {".attention.attn.v.", ".attention.self.value."},          {".attention.attn.o.", ".attention.output.dense."},
    {".attention.LayerNorm.", ".attention.output.LayerNorm."},
};

// Parts of heads. The first with which a name begins is replaced.
constexpr Renaming kDistilbertHeads[] = {
    {"pre_classifier.", "bert.pooler.dense."},
    {"vocab_transform.", "cls.predictions.transform.dense."},
    {"vocab_layer_norm.", "cls.predictions.transform.LayerNorm."},
    {"vocab_projector.weight", "cls.predictions.decoder.weight"},
    {"vocab_projector.bias", "cls.predictions.bias"},
};
// Also XLM-R's and MPNet's.
constexpr Renaming kRobertaHeads[] = {
    {"classifier.dense.", "bert.pooler.dense."},
    {"classifier.out_proj.", "classifier."},
    {"lm_head.dense.", "cls.predictions.transform.dense."},
    {"lm_head.layer_norm.", "cls.predictions.transform.LayerNorm."},
    {"lm_head.decoder.", "cls.predictions.decoder."},
    {"lm_head.bias", "cls.predictions.bias"},
};
constexpr Renaming kElectraHeads[] = {
    {"classifier.dense.", "bert.pooler.dense."},
    {"classifier.out_proj.", "classifier."},
    {"generator_predictions.dense.", "cls.predictions.transform.dense."},
    {"generator_predictions.LayerNorm.", "cls.predictions.transform.LayerNorm."},
    {"generator_lm_head.weight", "cls.predictions.decoder.weight"},
    {"generator_lm_head.bias", "cls.predictions.bias"},
};
constexpr Renaming kAlbertHeads[] = {
    {"predictions.dense.", "cls.predictions.transform.dense."},
    {"predictions.LayerNorm.", "cls.predictions.transform.LayerNorm."},
    {"predictions.decoder.", "cls.predictions.decoder."},
    {"predictions.bias", "cls.predictions.bias"},
};

struct Table {
  std::span<const Renaming> encoder, layer, heads;
};

Table table_of(EncoderFamily family) {
  switch (family) {
    case distilbert: return {kDistilbertEncoder, kDistilbertLayer, kDistilbertHeads};
    case albert: return {kAlbertEncoder, kAlbertLayer, kAlbertHeads};
    case mpnet: return {{}, kMpnetLayer, kRobertaHeads};
    case roberta:
    case xlm_roberta: return {{}, {}, kRobertaHeads};
    case electra: return {{}, {}, kElectraHeads};
    case bert: return {};
  }
  return {};
}

constexpr std::string_view kLayers = "encoder.layer.";

// The first parts of the names of encoder parameters, in all families.
constexpr std::string_view kEncoderParts[] = {"embeddings.", "embeddings_project.", "encoder.", "transformer.layer.",
                                              "pooler."};

// From the family's names to ours, or back.
enum class Direction { kRead, kStore };

std::pair<std::string_view, std::string_view> ends_of(const Renaming& renaming, Direction direction) {
  if (direction == Direction::kRead) return {renaming.family, renaming.ours};
  return {renaming.ours, renaming.family};
}

bool begin_replaced(std::string& name, std::span<const Renaming> renamings, Direction direction = Direction::kRead) {
  for (const Renaming& renaming : renamings) {
    const auto [from, to] = ends_of(renaming, direction);
    if (!name.starts_with(from)) continue;
    name.replace(0, from.size(), to);
    return true;
  }
  return false;
}

void part_replaced(std::string& name, std::span<const Renaming> renamings, Direction direction = Direction::kRead) {
  for (const Renaming& renaming : renamings) {
    const auto [from, to] = ends_of(renaming, direction);
    const size_t at = name.find(from);
    if (at == std::string::npos) continue;
    name.replace(at, from.size(), to);
    return;
  }
}

// The number at the front of `text`, and a dot, both of which are taken off.
std::optional<int64_t> take_number(std::string_view& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto digits = static_cast<size_t>(end - text.data());
  if (error != std::errc() || digits == text.size() || text[digits] != '.') return std::nullopt;
  text.remove_prefix(digits + 1);
  return number;
}

// encoder.albert_layer_groups.G.albert_layers.I. becomes encoder.layer.N., counted through all groups.
void number_albert_layers(std::string& name, int64_t layers_of_group) {
  constexpr std::string_view kGroups = "encoder.albert_layer_groups.", kInner = "albert_layers.";
  std::string_view rest = name;
  if (!rest.starts_with(kGroups)) return;
  rest.remove_prefix(kGroups.size());
  const auto group = take_number(rest);
  if (!group || !rest.starts_with(kInner)) return;
  rest.remove_prefix(kInner.size());
  const auto layer = take_number(rest);
  // Numbers beyond the configuration's stay as they are, so that no two names become one.
  if (!layer || *layer >= layers_of_group || *group > (int64_t{1} << 24)) return;
  name = fmt::format("encoder.layer.{}.{}", *group * layers_of_group + *layer, rest);
}

// The other way round.
void group_albert_layers(std::string& name, int64_t layers_of_group) {
  std::string_view rest = name;
  if (!rest.starts_with(kLayers)) return;
  rest.remove_prefix(kLayers.size());
  if (const auto layer = take_number(rest)) {
    name = fmt::format("encoder.albert_layer_groups.{}.albert_layers.{}.{}", *layer / layers_of_group,
                       *layer % layers_of_group, rest);
  }
}

}  // namespace

std::string current_parameter_name(std::string_view name) {
  std::string current(name);
  for (const auto& [old, now] :
       {Renaming{"LayerNorm.gamma", "LayerNorm.weight"}, {"LayerNorm.beta", "LayerNorm.bias"}}) {
    if (current.ends_with(old)) current.replace(current.size() - old.size(), old.size(), now);
  }
  return current;
}

std::string parameter_name(const EncoderConfig& config, std::string_view given) {
  std::string name = current_parameter_name(given);
  const Table table = table_of(config.family);
  const std::string base = std::string(names_of(config.family).base) + ".";
  bool of_encoder = name.starts_with(base);
  if (of_encoder) name.erase(0, base.size());
  for (const std::string_view part : kEncoderParts) of_encoder = of_encoder || name.starts_with(part);
  if (!of_encoder) {
    begin_replaced(name, table.heads);
    return name;
  }
  if (name == "embeddings.position_ids" || name == "embeddings.token_type_ids") return {};
  if (name.starts_with("pooler.") && config.family != bert && config.family != albert) return {};
  begin_replaced(name, table.encoder);
  if (config.family == albert) number_albert_layers(name, config.inner_group_num);
  if (name.starts_with(kLayers)) part_replaced(name, table.layer);
  return "bert." + name;
}

std::string stored_parameter_name(const EncoderConfig& config, std::string_view ours) {
  constexpr std::string_view kBase = "bert.";
  std::string name(ours);
  const Table table = table_of(config.family);
  if (begin_replaced(name, table.heads, Direction::kStore) || !name.starts_with(kBase)) return name;
  name.erase(0, kBase.size());
  if (name.starts_with(kLayers)) part_replaced(name, table.layer, Direction::kStore);
  if (config.family == albert) group_albert_layers(name, config.inner_group_num);
  begin_replaced(name, table.encoder, Direction::kStore);
  return fmt::format("{}.{}", names_of(config.family).base, name);
}

}  // namespace qing::nn
