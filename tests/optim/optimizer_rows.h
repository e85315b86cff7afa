// The optimizers with the options that are compared with PyTorch: {optimizer, its name in torch.optim (- if it has
// none), case, options of a first group, of a second}. Options have the names of state_dict(). The C++ tests run every
// row; tests/python/test_optimizer_parity.py and tests/parity/page_rows.py read the rows from this text, one a line.
#pragma once

#include <qing/optim/optimizer.h>
#include <qing/tensor/errors.h>

#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace qing::optim::test {

struct OptimizerRow {
  std::string_view optimizer, torch, what;
  std::string_view first, second;
};

// clang-format off
inline constexpr OptimizerRow kOptimizerRows[] = {
    {"Sgd", "SGD", "defaults", "", "lr=0.01"},
    {"Sgd", "SGD", "momentum", "lr=0.01 momentum=0.9", "lr=0.01"},
    {"Sgd", "SGD", "dampening", "lr=0.01 momentum=0.9 dampening=0.3", "momentum=0.5"},
    {"Sgd", "SGD", "nesterov, decay", "lr=0.01 momentum=0.8 nesterov=1 weight_decay=0.01", "weight_decay=0.5"},
    {"Sgd", "SGD", "maximize", "maximize=1 weight_decay=0.1", "maximize=1 momentum=0.9"},
    {"Adam", "Adam", "defaults", "", "lr=0.01"},
    {"Adam", "Adam", "l2, betas", "weight_decay=0.1", "lr=0.01 beta1=0.8 beta2=0.95 eps=1e-2 weight_decay=0.01"},
    {"Adam", "Adam", "amsgrad", "amsgrad=1", "lr=0.01 amsgrad=1 maximize=1 weight_decay=0.1"},
    {"AdamW", "AdamW", "defaults", "", "lr=0.01 weight_decay=0.1"},
    {"AdamW", "AdamW", "betas", "lr=0.01 weight_decay=0.1 beta1=0.8 beta2=0.95 eps=1e-2", "weight_decay=0"},
    {"AdamW", "AdamW", "amsgrad, maximize", "amsgrad=1", "amsgrad=1 maximize=1"},
    {"RAdam", "RAdam", "defaults", "", "lr=0.01 eps=1e-2"},
    {"RAdam", "RAdam", "decay, betas", "beta1=0.9 beta2=0.5 weight_decay=0.1", "beta1=0.8 beta2=0.95 weight_decay=0.1 decoupled_weight_decay=1"},
    {"RAdam", "RAdam", "maximize", "maximize=1", "lr=0.01 maximize=1 weight_decay=0.1"},
    {"NAdam", "NAdam", "defaults", "", "lr=0.01 eps=1e-2"},
    {"NAdam", "NAdam", "decay, betas", "weight_decay=0.1 momentum_decay=0.1", "beta1=0.8 beta2=0.95 weight_decay=0.1 decoupled_weight_decay=1"},
    {"NAdam", "NAdam", "maximize, no momentum decay", "maximize=1", "lr=0.01 maximize=1 momentum_decay=0"},
    {"Adagrad", "Adagrad", "defaults", "", "lr=0.1 eps=1e-3"},
    {"Adagrad", "Adagrad", "decays", "lr_decay=0.05 weight_decay=0.1", "maximize=1"},
    {"Adagrad", "Adagrad", "accumulator", "initial_accumulator_value=0.5", "initial_accumulator_value=0.5 lr_decay=0.1"},
    {"RMSprop", "RMSprop", "defaults", "lr=1e-3", "lr=1e-3 alpha=0.9 eps=1e-3"},
    {"RMSprop", "RMSprop", "momentum", "lr=1e-3 momentum=0.9", "lr=1e-3 momentum=0.5 weight_decay=0.1 maximize=1"},
    {"RMSprop", "RMSprop", "centered", "lr=1e-3 centered=1", "lr=1e-3 centered=1 momentum=0.9 weight_decay=0.01"},
    {"Lion", "-", "defaults", "", "lr=1e-3 beta1=0.95 beta2=0.98 weight_decay=0.1"},
    {"Lion", "-", "maximize", "maximize=1", "lr=1e-3"},
    {"Adafactor", "Adafactor", "defaults", "", "lr=0.05 beta2_decay=-0.5"},
    {"Adafactor", "Adafactor", "decay, clipping", "weight_decay=0.1 d=2", "lr=0.05 eps1=1e-2 eps2=0.5 maximize=1"},
};
// clang-format on

/// Sets options of a group, "lr=0.1 amsgrad=1".
inline void set_options(Optimizer& optimizer, size_t group, std::string_view options) {
  StateDict state = optimizer.state_dict();
  std::istringstream words{std::string(options)};
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    Tensor& place = state.at("group." + std::to_string(group) + "." + word.substr(0, equals));
    place = Tensor::full({}, std::stod(word.substr(equals + 1)), place.dtype());
  }
  optimizer.load_state_dict(state);
}

/// An optimizer by its name, with one group of default options for each list of parameters.
inline std::unique_ptr<Optimizer> make_optimizer(std::string_view name,
                                                 const std::vector<std::vector<Tensor>>& groups) {
  std::unique_ptr<Optimizer> made;
  AllOptimizers::for_each([&]<class O>() {
    if (name != O::Options::kName) return;
    typename O::Groups own;
    for (const auto& parameters : groups) own.push_back({parameters, {}});
    made = std::make_unique<O>(std::move(own));
  });
  if (!made) throw ValueError("there is no optimizer " + std::string(name));
  return made;
}

/// The optimizer of a row over parameters that all have the options of the first or of the second group.
inline std::unique_ptr<Optimizer> make_optimizer(const OptimizerRow& row, bool second,
                                                 const std::vector<Tensor>& parameters) {
  auto optimizer = make_optimizer(row.optimizer, {parameters});
  set_options(*optimizer, 0, second ? row.second : row.first);
  return optimizer;
}

}  // namespace qing::optim::test
