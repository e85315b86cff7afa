// The parts of a BERT encoder, as they are found in an ONNX graph.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <qing/nn/formats/onnx_graph.h>

namespace qing::nn {

/// A LayerNorm over the last dimension: the operation, or the arithmetic that older exports have instead.
struct OnnxNorm {
  const OnnxTensor *scale, *bias;
  double eps;
  std::string_view output;
};
/// The LayerNorm that takes this value, if there is one.
std::optional<OnnxNorm> find_norm(const OnnxGraph& graph, std::string_view value);

/// The sum of embeddings at the beginning.
struct OnnxEmbeddings {
  const OnnxTensor *words = nullptr, *positions = nullptr, *types = nullptr;  ///< types may be null
  OnnxNorm norm;
};
/// DataError when there is none, or one that is no BERT encoder's: positions that depend on the ids, for example.
OnnxEmbeddings find_embeddings(const OnnxGraph& graph);

/// The attention of one layer: its three projections of `hidden`, and the one of what it gives.
struct OnnxAttention {
  OnnxLinear query, key, value, output;
  int64_t heads;
};
/// DataError that names the operation when the graph does not compute softmax(q kᵀ / sqrt(width of a head) + mask) v
/// of heads that lie beside each other. `masks` are values that were found to be of the mask alone.
OnnxAttention find_attention(const OnnxGraph& graph, const std::vector<OnnxLinear>& projections, int64_t width,
                             std::set<std::string_view>& masks);

/// The function between the two linear operations of the feed-forward part, as transformers calls it, and the second
/// of them. DataError for another function than GELU, its two approximations, ReLU and SiLU.
struct OnnxActivation {
  std::string name;
  OnnxLinear output;
};
OnnxActivation find_activation(const OnnxGraph& graph, const OnnxLinear& input);

}  // namespace qing::nn
