// Defines a custom operation with its derivative. The derivative is differentiable too, because its parts are.
#include <cstdio>

#include <qing/autograd/autograd.h>
#include <qing/autograd/functional/gradcheck.h>
#include <qing/autograd/graph.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/random.h>

using namespace qing;

// y = x·|x|, whose derivative is 2·|x|.
Tensor signed_square(const Tensor& x) {
  // alias() is a tensor with the same elements and no history. What is computed from it is not recorded, so that only
  // the record() below is.
  const Tensor size = sqrt(x.alias() * x.alias());
  Tensor y = x.alias() * size;
  if (recording({x})) {
    // Saved keeps x for the backward pass, and refuses to give it out if its elements were overwritten meanwhile. dy is
    // the gradient of y. GradSink takes the gradients of the inputs: input 0 is the first of the list {x}.
    record(OpName::custom("signed_square", Order::second), y, {x}, [x = Saved(x)](const Tensor& dy, GradSink& grad) {
      // Order::second says that this function can be differentiated itself. input() makes x part of the graph for that.
      const Tensor in = grad.input(0, x);
      grad.add(0, dy * scale(sqrt(in * in), 2));
    });
  }
  return y;
}

int main() try {
  Generator rng(1);
  Tensor x = Tensor::empty({4}, DType::f64);
  rng.fill_uniform(x, 0.5, 2);
  set_requires_grad(x);
  const auto function = [](const std::vector<Tensor>& in) { return signed_square(in[0]); };
  std::printf("first derivative: %s\n", gradcheck(function, {x}).ok ? "right" : "wrong");
  std::printf("second derivative: %s\n", gradgradcheck(function, {x}).ok ? "right" : "wrong");

  zero_grad(x);
  backward(sum(signed_square(x)));
  std::printf("x = %s\ndy/dx = %s\n", to_string(detach(x)).c_str(), to_string(grad(x)).c_str());
} catch (const qing::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
