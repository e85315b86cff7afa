// The graph of an ONNX model: which node makes a value, which nodes take it, and which values are constants.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/formats/onnx_model.h>

namespace qing::nn {

/// A matrix of weights as a linear operation uses it.
struct OnnxLinear {
  const OnnxNode* node = nullptr;
  const OnnxTensor* weight = nullptr;
  bool is_transposed = false;  ///< whether the tensor is [in, out], not [out, in]
  const OnnxTensor* bias = nullptr;
  std::string_view output = {};  ///< with the bias
};

class OnnxGraph {
 public:
  /// `model` must outlive the graph. DataError when a value is made twice or is taken before it is made, and for an
  /// operation that is not ONNX's own.
  explicit OnnxGraph(const OnnxModel& model);

  const FileFaults& faults() const { return faults_; }
  const OnnxModel& model() const { return model_; }
  const OnnxNode* producer(std::string_view value) const;  ///< null for inputs and initializers
  /// The nodes that take a value, in the graph's order. Operations that change nothing are skipped, as in behind().
  const std::vector<const OnnxNode*>& consumers(std::string_view value) const;
  bool is_input(std::string_view value) const { return inputs_.count(value) > 0; }
  size_t index_of(const OnnxNode& node) const { return static_cast<size_t>(&node - model_.nodes.data()); }

  /// The value before operations that change nothing here: Identity, Dropout, and Cast between floats.
  std::string_view behind(std::string_view value) const;
  /// The tensor of an initializer or a Constant, after skipping such operations. Null for another value.
  const OnnxTensor* constant(std::string_view value) const;
  /// The number of a constant with one element.
  std::optional<double> scalar(std::string_view value) const;
  /// The elements of a constant of integers, at most 4096.
  std::optional<std::vector<int64_t>> integers(std::string_view value) const;
  /// The numbers of a constant of integers or of a Concat of such; those that depend on the input have no value.
  std::vector<std::optional<int64_t>> partial_integers(std::string_view value) const;

  /// The linear operation of a MatMul or Gemm with constant weights, with the Add of a bias behind it. None for
  /// another node.
  std::optional<OnnxLinear> linear(const OnnxNode& node) const;
  /// Linear operations that take this value.
  std::vector<OnnxLinear> linears_of(std::string_view value) const;

  int64_t attribute(const OnnxNode& node, std::string_view name, int64_t missing) const;
  /// DataError "unsupported: the operation 'Op' (node 'NAME'): WHAT".
  [[noreturn]] void unsupported(const OnnxNode& node, std::string_view what) const;

 private:
  void add_output(const OnnxNode& node, std::string_view output);

  const OnnxModel& model_;
  const FileFaults faults_;
  std::map<std::string_view, const OnnxTensor*> initializers_;
  std::set<std::string_view> inputs_;
  std::map<std::string_view, std::string_view> aliases_;  // of a value that is another
  std::map<std::string_view, const OnnxNode*> producers_;
  std::map<std::string_view, std::vector<const OnnxNode*>> consumers_;
};

}  // namespace qing::nn
