// Runs an optimizer on numbers from stdin, so that another program can compare: see
// tests/python/test_optimizer_parity.py. Input: a line of the name, f32 or f64, the counts of steps, of groups, of
// elements; a line for each group with its options as in optimizer_rows.h; the parameters of every group, then each
// step's gradients. With a name that ends in "_rows" each parameter is a table of one column, where the
// elements with a gradient other than 0 are looked up. With one that ends in "_matrices" it is two matrices of three
// rows. Output: the parameters of all groups after each step, a line a
// step.
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/nonzero.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "optim/optimizer_rows.h"

namespace {

using namespace qing;

Tensor read(int64_t n, DType dtype) {
  Tensor t = Tensor::empty({n}, dtype);
  dispatch_floating(dtype, "read", [&](auto zero) {
    for (auto& value : t.span<decltype(zero)>()) std::cin >> value;
  });
  return t;
}

// Reads a line of options for every group.
void read_options(optim::Optimizer& optimizer) {
  std::string options;
  std::getline(std::cin, options);
  for (size_t group = 0; group < optimizer.group_count(); ++group) {
    std::getline(std::cin, options);
    optim::test::set_options(optimizer, group, options);
  }
}

// The gradient of Σ g·w is g.
void give_gradient(const Tensor& parameter, const Tensor& gradient, bool by_rows) {
  if (!by_rows) return backward(sum(mul(parameter, gradient.reshape(parameter.shape()))));
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
  const bool matrices = name.ends_with("_matrices");
  if (matrices) name.resize(name.size() - 9);
  const Shape shape = by_rows ? Shape{count, 1} : matrices ? Shape{2, 3, count / 6} : Shape{count};
  std::vector<Tensor> parameters;
  for (int64_t group = 0; group < groups; ++group) {
    Tensor parameter = Tensor::zeros(shape, dtype);
    parameters.push_back(set_requires_grad(parameter));
  }
  std::vector<std::vector<Tensor>> in_groups;
  for (const Tensor& parameter : parameters) in_groups.push_back({parameter});
  const auto optimizer = optim::test::make_optimizer(name, in_groups);
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
