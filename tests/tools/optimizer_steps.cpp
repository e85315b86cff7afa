// Runs an optimizer on numbers from stdin, so that another program can compare: see tests/python/test_optimizer_parity.py.
// Input: the name (sgd or adamw), lr, momentum, nesterov (0 or 1), weight decay, beta1, beta2, eps, the count of steps,
// of parameters, then the parameters and each step's gradients. Output: the parameters after each step, a line a step.
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/optim/optimizer.h>

namespace {

qing::Tensor read(int64_t n) {
  qing::Tensor t = qing::Tensor::empty({n});
  for (float& value : t.span<float>()) std::cin >> value;
  return t;
}

}  // namespace

int main() {
  std::string name;
  double lr = 0, momentum = 0, decay = 0, beta1 = 0, beta2 = 0, eps = 0;
  bool nesterov = false;
  int64_t steps = 0, count = 0;
  std::cin >> name >> lr >> momentum >> nesterov >> decay >> beta1 >> beta2 >> eps >> steps >> count;
  qing::Tensor parameter = read(count);
  qing::set_requires_grad(parameter);
  const std::vector<qing::Tensor> parameters = {parameter};
  std::unique_ptr<qing::optim::Optimizer> optimizer;
  if (name == "sgd") {
    optimizer = std::make_unique<qing::optim::Sgd>(
        parameters,
        qing::optim::SgdOptions{.lr = lr, .momentum = momentum, .weight_decay = decay, .nesterov = nesterov});
  } else {
    optimizer = std::make_unique<qing::optim::AdamW>(
        parameters,
        qing::optim::AdamWOptions{.lr = lr, .beta1 = beta1, .beta2 = beta2, .eps = eps, .weight_decay = decay});
  }
  for (int64_t step = 0; step < steps; ++step) {
    optimizer->zero_grad();
    qing::backward(qing::sum(qing::mul(parameter, read(count))));  // its gradient is the second factor
    if (!std::cin) return 1;
    optimizer->step();
    for (const float value : parameter.span<float>()) std::printf("%.9g ", value);
    std::printf("\n");
  }
}
