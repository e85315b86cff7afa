// Runs an optimizer on numbers from stdin, so that tests/python/test_optimizer_parity.py can compare it. Input: the
// name, f32 or f64, the numbers of steps, groups and elements; for each group the number of options, and each option as
// its name in state_dict() and its value; the parameters of every group; then the gradients of each step. If the name
// ends in
// "_rows", each parameter is a table of one column, where the elements with a nonzero gradient are looked up. Output:
// the parameters of all groups after each step, one line per step.
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/nonzero.h>

#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>

namespace {

using namespace qing;

template <class O> std::unique_ptr<optim::Optimizer> make(const std::vector<Tensor>& parameters) {
  using Options = std::decay_t<decltype(std::declval<O>().options())>;
  std::vector<optim::ParameterGroup<Options>> groups;
  for (const Tensor& parameter : parameters) groups.push_back({{parameter}, {}});
  return std::make_unique<O>(groups);
}

template <> std::unique_ptr<optim::Optimizer> make<optim::AdamW>(const std::vector<Tensor>& parameters) {
  std::vector<optim::ParameterGroup<optim::AdamWOptions>> groups;
  for (const Tensor& parameter : parameters) groups.push_back({{parameter}, {}});
  return std::make_unique<optim::AdamW>(groups);
}

const std::map<std::string, std::function<std::unique_ptr<optim::Optimizer>(const std::vector<Tensor>&)>> kMakers = {
    {"sgd", make<optim::Sgd>},         {"adam", make<optim::Adam>},       {"adamw", make<optim::AdamW>},
    {"adagrad", make<optim::Adagrad>}, {"rmsprop", make<optim::RMSprop>}, {"lion", make<optim::Lion>},
};

Tensor read(int64_t n, DType dtype) {
  Tensor t = Tensor::empty({n}, dtype);
  dispatch_floating(dtype, "read", [&](auto zero) {
    for (auto& value : t.span<decltype(zero)>()) std::cin >> value;
  });
  return t;
}

void read_options(optim::Optimizer& optimizer) {
  optim::StateDict state = optimizer.state_dict();
  for (size_t group = 0; group < optimizer.group_count(); ++group) {
    int options = 0;
    std::cin >> options;
    for (int i = 0; i < options; ++i) {
      std::string name;
      double value = 0;
      std::cin >> name >> value;
      Tensor& place = state.at("group." + std::to_string(group) + "." + name);
      place = Tensor::full({}, value, place.dtype());
    }
  }
  optimizer.load_state_dict(state);
}

// The gradient of Σ g·w is g.
void give_gradient(const Tensor& parameter, const Tensor& gradient, bool by_rows) {
  if (!by_rows) return backward(sum(mul(parameter, gradient)));
  const Tensor named = nonzero(gradient).reshape({-1});
  backward(sum(mul(embedding(parameter, named), index_select(gradient.unsqueeze(1), 0, named))));
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  std::string name, type;
  int64_t steps = 0, groups = 0, count = 0;
  std::cin >> name >> type >> steps >> groups >> count;
  const DType dtype = type == "f64" ? DType::f64 : DType::f32;
  const bool by_rows = name.ends_with("_rows");
  if (by_rows) name.resize(name.size() - 5);
  std::vector<Tensor> parameters;
  for (int64_t group = 0; group < groups; ++group) {
    Tensor parameter = by_rows ? Tensor::zeros({count, 1}, dtype) : Tensor::zeros({count}, dtype);
    parameters.push_back(set_requires_grad(parameter));
  }
  const std::unique_ptr<optim::Optimizer> optimizer = kMakers.at(name)(parameters);
  read_options(*optimizer);
  for (Tensor& parameter : parameters) {
    const NoGradGuard guard;
    parameter.copy_from(read(count, dtype).reshape(parameter.shape()));
  }
  for (int64_t step = 0; step < steps; ++step) {
    optimizer->zero_grad();
    for (const Tensor& parameter : parameters) give_gradient(parameter, read(count, dtype), by_rows);
    if (!std::cin) return 1;
    optimizer->step();
    for (const Tensor& parameter : parameters) {
      dispatch_floating(dtype, "print", [&](auto zero) {
        for (const auto value : parameter.span<decltype(zero)>()) std::printf("%.17g ", static_cast<double>(value));
      });
    }
    std::printf("\n");
  }
}
