#include <qing/nn/formats/bert_layout.h>

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <utility>

namespace qing::nn {
namespace {

namespace json = boost::json;

std::map<std::string, Shape> shapes_of(const BertSizes& sizes) {
  const auto [width, inner] = std::pair(sizes.width, sizes.inner);
  std::map<std::string, Shape> shapes = {{"embeddings.word_embeddings.weight", {sizes.vocabulary, width}},
                                         {"embeddings.position_embeddings.weight", {sizes.positions, width}},
                                         {"embeddings.token_type_embeddings.weight", {sizes.types, width}},
                                         {"embeddings.LayerNorm.weight", {width}},
                                         {"embeddings.LayerNorm.bias", {width}}};
  for (int64_t i = 0; i < sizes.layers; ++i) {
    for (const BertPart& part : kBertParts) {
      const std::string name = bert_part_name(i, part);
      const std::string_view kind = part.hugging_face;
      Shape weight = {width, width}, bias = {width};
      if (kind.ends_with("LayerNorm")) weight = {width};
      if (kind == "intermediate.dense") weight = {inner, width}, bias = {inner};
      if (kind == "output.dense") weight = {width, inner};
      shapes[name + ".weight"] = std::move(weight);
      shapes[name + ".bias"] = std::move(bias);
    }
  }
  if (sizes.has_pooler) {
    shapes["pooler.dense.weight"] = {width, width};
    shapes["pooler.dense.bias"] = {width};
  }
  if (sizes.labels > 0) {
    shapes["classifier.weight"] = {sizes.labels, width};
    shapes["classifier.bias"] = {sizes.labels};
  }
  return shapes;
}

}  // namespace

std::string bert_part_name(int64_t layer, const BertPart& part) {
  return fmt::format("encoder.layer.{}.{}", layer, part.hugging_face);
}

std::string bert_config(const BertSizes& sizes) {
  json::object config = {
      {"architectures", json::array{sizes.labels > 0 ? "BertForSequenceClassification" : "BertModel"}},
      {"model_type", "bert"},
      {"vocab_size", sizes.vocabulary},
      {"hidden_size", sizes.width},
      {"num_hidden_layers", sizes.layers},
      {"num_attention_heads", sizes.heads},
      {"intermediate_size", sizes.inner},
      {"hidden_act", sizes.activation},
      {"hidden_dropout_prob", 0.1},
      {"attention_probs_dropout_prob", 0.1},
      {"max_position_embeddings", sizes.positions},
      {"type_vocab_size", sizes.types},
      {"layer_norm_eps", sizes.norm_eps},
      {"initializer_range", 0.02},
      {"position_embedding_type", "absolute"},
      {"pad_token_id", sizes.pad},
      {"torch_dtype", "float32"},
  };
  if (sizes.labels > 0) {
    json::object id2label, label2id;
    for (int64_t i = 0; i < sizes.labels; ++i) {
      const std::string name = fmt::format("LABEL_{}", i);
      id2label[std::to_string(i)] = name;
      label2id[name] = i;
    }
    config["id2label"] = std::move(id2label);
    config["label2id"] = std::move(label2id);
    config["problem_type"] = "single_label_classification";
  }
  return json::serialize(config) + "\n";
}

void check_bert_tensors(const BertSizes& sizes, StateDict& tensors, const FileFaults& faults) {
  // There cannot be more layers than tensors.
  if (sizes.layers < 1 || static_cast<uint64_t>(sizes.layers) > tensors.size()) {
    faults.invalid(fmt::format("{} layers, but {} tensors", sizes.layers, tensors.size()));
  }
  if (sizes.heads < 1 || sizes.width % sizes.heads != 0) {
    faults.invalid(fmt::format("a width of {} for {} heads", sizes.width, sizes.heads));
  }
  if (!(sizes.norm_eps > 0 && sizes.norm_eps < 1)) {
    faults.invalid(fmt::format("an epsilon of {}, outside (0, 1)", sizes.norm_eps));
  }
  const std::map<std::string, Shape> shapes = shapes_of(sizes);
  for (const auto& [name, shape] : shapes) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) faults.invalid(fmt::format("nothing in it is the tensor '{}'", name));
    if (found->second.shape() != shape) {
      faults.invalid(fmt::format("tensor '{}' has the shape {}, but the sizes of the encoder give {}", name,
                                 to_string(found->second.shape()), to_string(shape)));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (shapes.count(name) == 0) faults.unsupported(fmt::format("tensor '{}' is none of BERT's", printable(name)));
  }
  if (sizes.labels == 0) return;
  StateDict renamed;
  for (auto& [name, tensor] : tensors) {
    renamed.emplace(name.starts_with("classifier.") ? name : "bert." + name, std::move(tensor));
  }
  tensors = std::move(renamed);
}

double written_like(float value) { return std::strtod(fmt::format("{}", value).c_str(), nullptr); }

}  // namespace qing::nn
