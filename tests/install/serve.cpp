#include <cstdio>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/optim/optimizer.h>
#include <qing/serve/registry/registry.h>

int main() {
  qing::Tensor x = qing::Tensor::full({}, 3);
  qing::set_requires_grad(x);
  qing::backward(x * x);
  const qing::serve::Registry registry;
  std::printf("%g %d\n", qing::grad(x).item(), registry.ready());
}
