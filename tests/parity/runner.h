// What a row of the parity table becomes in C++: a function from a case (drawn inputs and sizes) to its outputs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <qing/nn/module.h>
#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing::parity {

/// One drawing of a row.
class Case {
 public:
  std::map<std::string, int64_t> sizes;
  std::map<std::string, Tensor> inputs;
  nn::StateDict state;  ///< of the row's module
  DType dtype = DType::f32;
  Generator rng{1};
  std::vector<std::pair<std::string, Tensor>> parameters;  ///< of the module, once it is loaded

  int64_t size(const std::string& name) const { return sizes.at(name); }
  const Tensor& input(const std::string& name) const { return inputs.at(name); }
  /// Gives the module the state, and its gradients a place among those that are written.
  void load(nn::Module& module);
};

struct Row {
  std::string_view name;
  std::vector<Tensor> (*run)(Case&);
};

/// The rows of all families, generated.
std::vector<Row> all_rows();

// Whatever an operation returns, as a list.
inline std::vector<Tensor> outputs(Tensor one) { return {std::move(one)}; }
inline std::vector<Tensor> outputs(std::vector<Tensor> many) { return many; }
template <class A, class B> std::vector<Tensor> outputs(const std::pair<A, B>& two) { return {two.first, two.second}; }
template <class... Ts> std::vector<Tensor> outputs(const std::tuple<Ts...>& many) {
  return std::apply([](const auto&... each) { return std::vector<Tensor>{each...}; }, many);
}
template <class Named>
requires requires(const Named& named) { named.values, named.indices; }
std::vector<Tensor> outputs(const Named& named) { return {named.values, named.indices}; }

}  // namespace qing::parity
