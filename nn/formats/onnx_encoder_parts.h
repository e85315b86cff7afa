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
/// DataError when there is none or when it differs from BERT's, for example in positions that depend on the ids.
OnnxEmbeddings find_embeddings(const OnnxGraph& graph);

/// The attention of one layer: its three projections of `hidden`, and the projection of its result.
struct OnnxAttention {
  OnnxLinear query, key, value, output;
  int64_t heads;
};
/// DataError that names the operation when the graph does not compute softmax(q kᵀ / sqrt(width of a head) + mask) v
/// of heads that are adjacent. `masks` are values that were found to depend on the mask alone.
OnnxAttention find_attention(const OnnxGraph& graph, const std::vector<OnnxLinear>& projections, int64_t width,
                             std::set<std::string_view>& masks);

/// The activation of the feed-forward part, by its name in transformers, and the second linear operation. DataError for
/// another function than GELU, its two approximations, ReLU and SiLU.
struct OnnxActivation {
  std::string name;
  OnnxLinear output;
};
OnnxActivation find_activation(const OnnxGraph& graph, const OnnxLinear& input);

}  // namespace qing::nn
