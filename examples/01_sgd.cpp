// Fits a line to noisy points by gradient descent, θ ← θ − α·∇J(θ), and prints the progress.
#include <cstdio>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/random.h>

int main() try {
  using namespace qing;

  // Points of y = 2x − 1 with a little noise.
  Generator rng(1);
  Tensor x = Tensor::empty({100}), noise = Tensor::empty({100});
  rng.fill_uniform(x, -1, 1);
  rng.fill_normal(noise, 0, 0.1);
  const Tensor y = 2 * x - Tensor::full({1}, 1) + noise;

  // The parameters θ are slope and intercept. Both start at 0.
  Tensor slope = Tensor::zeros({1}), intercept = Tensor::zeros({1});
  set_requires_grad(slope);
  set_requires_grad(intercept);
  optim::Sgd sgd({slope, intercept}, {.lr = 0.3});  // α = 0.3

  for (int step = 0; step <= 60; ++step) {
    const Tensor error = slope * x + intercept - y;
    const Tensor J = mean(error * error);
    sgd.zero_grad();
    backward(J);  // stores ∇J in the parameters' gradients
    sgd.step();   // θ ← θ − α·∇J
    if (step % 20 == 0) {
      std::printf("step %2d   J = %.4f   y = %.3f x %+.3f\n", step, J.item(), slope.item(), intercept.item());
    }
  }
} catch (const qing::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
