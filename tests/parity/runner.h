// The C++ form of a row of the parity table: a function from a case (drawn inputs and sizes) to its outputs.
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
  /// Loads the state into the module and registers its parameters, so that their gradients are written.
  void load(nn::Module& module);
};

struct Row {
  std::string_view name;
  std::vector<Tensor> (*run)(Case&);
};

/// The rows of all families, generated.
std::vector<Row> all_rows();

// Converts the result of an operation to a list.
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
