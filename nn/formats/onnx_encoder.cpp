// A BERT encoder from the graph of an ONNX model. Exports drop the names of most weights and transpose their matrices.
// The graph is therefore followed from the input ids, and each weight is known by its use.
#include <fmt/format.h>

#include <set>
#include <utility>

#include <qing/nn/formats/bert_layout.h>
#include <qing/nn/formats/encoder_importers.h>
#include <qing/nn/formats/onnx_encoder_parts.h>

namespace qing::nn {
namespace {

class OnnxEncoder {
 public:
  explicit OnnxEncoder(const std::shared_ptr<const MappedFile>& file) : model_(read_onnx(file)), graph_(model_) {}

  ImportedEncoder read() {
    const OnnxEmbeddings embeddings = find_embeddings(graph_);
    put("embeddings.word_embeddings.weight", *embeddings.words);
    put("embeddings.position_embeddings.weight", *embeddings.positions);
    sizes_.vocabulary = embeddings.words->dims[0];
    sizes_.width = embeddings.words->dims[1];
    sizes_.positions = embeddings.positions->dims[0];
    sizes_.norm_eps = eps_ = written_like(static_cast<float>(embeddings.norm.eps));
    put_types(embeddings.types);
    put_norm("embeddings.LayerNorm", embeddings.norm);
    std::string_view hidden = embeddings.norm.output;
    while (const auto next = read_layer(hidden)) hidden = *next;
    if (sizes_.layers == 0) fail_without_layers(hidden);
    read_head(hidden);
    check_bert_tensors(sizes_, encoder_.tensors, graph_.faults());
    encoder_.config = bert_config(sizes_);
    return std::move(encoder_);
  }

 private:
  Tensor values(const OnnxTensor& tensor) const { return read_tensor(onnx_source(model_, tensor), DType::f32); }
  void put(const std::string& name, const OnnxTensor& tensor) { encoder_.tensors[name] = values(tensor); }
  void put_types(const OnnxTensor* types) {
    sizes_.types = types == nullptr ? 1 : types->dims[0];
    // Without types nothing is added to the embeddings of the ids: zeros.
    const std::string name = "embeddings.token_type_embeddings.weight";
    if (types != nullptr) return put(name, *types);
    constexpr int64_t kMostWidth = 1 << 20;
    if (sizes_.width < 1 || sizes_.width > kMostWidth)
      graph_.faults().invalid(fmt::format("a width of {}", sizes_.width));
    encoder_.tensors[name] = Tensor::zeros({1, sizes_.width});
  }
  void put_norm(const std::string& name, const OnnxNorm& norm) {
    const double eps = written_like(static_cast<float>(norm.eps));
    if (eps != eps_) graph_.faults().unsupported(fmt::format("LayerNorms of two epsilons, {} and {}", eps_, eps));
    put(name + ".weight", *norm.scale);
    put(name + ".bias", *norm.bias);
  }
  void put_linear(const std::string& name, const OnnxLinear& linear) {
    if (linear.bias == nullptr) graph_.unsupported(*linear.node, "it has no bias");
    const Tensor weight = values(*linear.weight);
    encoder_.tensors[name + ".weight"] = linear.is_transposed ? weight.transpose(0, 1).contiguous() : weight;
    put(name + ".bias", *linear.bias);
  }
  std::string part(size_t index) const { return bert_part_name(sizes_.layers, kBertParts[index]); }

  // LayerNorm(value + residual)
  OnnxNorm norm_of_sum(const OnnxLinear& linear, std::string_view residual) const {
    for (const OnnxNode* add : graph_.consumers(linear.output)) {
      if (add->operation != "Add" || add->inputs.size() != 2 || add->outputs.empty()) continue;
      const std::set<std::string_view> operands = {graph_.behind(add->inputs[0]), graph_.behind(add->inputs[1])};
      if (operands != std::set{graph_.behind(linear.output), graph_.behind(residual)}) continue;
      if (const auto norm = find_norm(graph_, add->outputs[0])) return *norm;
    }
    graph_.unsupported(*linear.node, "its result is not added to what the part began with and then normalised");
  }

  // Reads one layer and returns its result, or nothing if no layer begins here.
  std::optional<std::string_view> read_layer(std::string_view hidden) {
    const std::vector<OnnxLinear> projections = graph_.linears_of(hidden);
    if (projections.size() != 3) return std::nullopt;
    const OnnxAttention attention = find_attention(graph_, projections, sizes_.width, masks_);
    if (sizes_.layers > 0 && attention.heads != sizes_.heads) {
      graph_.unsupported(*attention.output.node,
                         fmt::format("{} heads, where layers before it have {}", attention.heads, sizes_.heads));
    }
    sizes_.heads = attention.heads;
    const OnnxNorm attention_norm = norm_of_sum(attention.output, hidden);
    const std::vector<OnnxLinear> inner = graph_.linears_of(attention_norm.output);
    if (inner.size() != 1) {
      graph_.unsupported(*attention.output.node,
                         fmt::format("{} linear operations take the result of the attention behind it; a feed-forward "
                                     "part begins with one",
                                     inner.size()));
    }
    OnnxActivation activation = find_activation(graph_, inner[0]);
    if (sizes_.layers > 0 && activation.name != sizes_.activation) {
      graph_.unsupported(*inner[0].node, fmt::format("{} follows it, where layers before it have {}", activation.name,
                                                     sizes_.activation));
    }
    sizes_.activation = activation.name;
    const OnnxNorm norm = norm_of_sum(activation.output, attention_norm.output);
    const OnnxLinear* linears[] = {&attention.query, &attention.key, &attention.value,  &attention.output,
                                   nullptr,          &inner[0],      &activation.output};
    for (size_t i = 0; i < std::size(linears); ++i) {
      if (linears[i] != nullptr) put_linear(part(i), *linears[i]);
    }
    put_norm(part(4), attention_norm);
    put_norm(part(7), norm);
    if (sizes_.layers == 0) sizes_.inner = encoder_.tensors.at(part(5) + ".bias").numel();
    ++sizes_.layers;
    return norm.output;
  }

  [[noreturn]] void fail_without_layers(std::string_view hidden) const {
    std::string operations;
    for (const OnnxNode* node : graph_.consumers(hidden)) {
      if (operations.size() < 200)
        operations += fmt::format("{} '{}'", operations.empty() ? "" : ",", printable(node->operation));
    }
    graph_.faults().unsupported(
        fmt::format("no layer with three projections takes the embeddings; what takes them is{}",
                    operations.empty() ? " nothing" : operations));
  }

  // A pooler, tanh of a linear operation on the first token, and a classifier on it, if they are there.
  void read_head(std::string_view hidden) {
    for (const OnnxNode* node : graph_.consumers(hidden)) {
      const bool first = node->operation == "Gather" && node->inputs.size() == 2 && node->outputs.size() == 1 &&
                         graph_.attribute(*node, "axis", 0) == 1 && graph_.scalar(node->inputs[1]) == 0;
      if (!first) continue;
      const std::vector<OnnxLinear> linears = graph_.linears_of(node->outputs[0]);
      if (linears.size() != 1) continue;
      for (const OnnxNode* tanh : graph_.consumers(linears[0].output)) {
        if (tanh->operation != "Tanh" || tanh->outputs.size() != 1) continue;
        put_linear("pooler.dense", linears[0]);
        sizes_.has_pooler = true;
        const std::vector<OnnxLinear> classifiers = graph_.linears_of(tanh->outputs[0]);
        if (classifiers.size() != 1) return;
        put_linear("classifier", classifiers[0]);
        sizes_.labels = encoder_.tensors.at("classifier.bias").numel();
        return;
      }
    }
  }

  const OnnxModel model_;
  const OnnxGraph graph_;
  ImportedEncoder encoder_;
  BertSizes sizes_{};
  double eps_ = 0;
  std::set<std::string_view> masks_;
};

}  // namespace

ImportedEncoder import_onnx(const std::shared_ptr<const MappedFile>& file) { return OnnxEncoder(file).read(); }

}  // namespace qing::nn
