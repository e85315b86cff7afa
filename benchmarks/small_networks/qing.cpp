// qing's side of benchmarks/small_networks_vs_pytorch: small_networks_qing NETWORK STEPS prints the seconds of a
// training. small_networks/peer.py trains the same networks with PyTorch.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/creation.h>

namespace {

using namespace qing;

// The first steps allocate memory and start threads.
constexpr int kFirstSteps = 20;

double train(nn::Sequential& model, const Tensor& inputs, const Tensor& labels, int steps, Generator& rng) {
  model.set_requires_grad(true);
  model.train();
  optim::AdamW adamw(model.parameters(), {.lr = 0.01});
  auto begin = std::chrono::steady_clock::now();
  for (int step = -kFirstSteps; step < steps; ++step) {
    if (step == 0) begin = std::chrono::steady_clock::now();
    const Tensor loss = cross_entropy(model.forward(inputs, &rng), labels);
    adamw.zero_grad();
    backward(loss);
    adamw.step();
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string network = argc == 3 ? argv[1] : "";
  const int steps = argc == 3 ? std::atoi(argv[2]) : 0;
  Generator rng(1);
  double seconds = 0;
  if (network == "spirals") {
    nn::Sequential model(nn::Linear(2, 64, rng), nn::Tanh(), nn::Linear(64, 64, rng), nn::Tanh(),
                         nn::Linear(64, 3, rng));
    seconds = train(model, randn({300, 2}, rng), randint(0, 3, {300}, rng), steps, rng);
  } else if (network == "digits") {
    nn::Sequential model(nn::Conv2d(1, 16, 3, rng, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2),
                         nn::Conv2d(16, 32, 3, rng, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(),
                         nn::Linear(128, 10, rng));
    seconds = train(model, randn({64, 1, 8, 8}, rng), randint(0, 10, {64}, rng), steps, rng);
  } else if (network == "wide") {
    nn::Sequential model(nn::Linear(64, 512, rng), nn::ReLU(), nn::Linear(512, 512, rng), nn::ReLU(),
                         nn::Linear(512, 10, rng));
    seconds = train(model, randn({128, 64}, rng), randint(0, 10, {128}, rng), steps, rng);
  } else {
    std::fprintf(stderr, "usage: %s spirals|digits|wide STEPS\n", argv[0]);
    return 2;
  }
  std::printf("%.6f\n", seconds);
}
