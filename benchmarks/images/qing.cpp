// qing's side of benchmarks/images_vs_pytorch: images_qing train|infer resnet|vit BATCH SECONDS [PRECISION] prints
// images per second and the process's peak memory in bytes. images/peer.py has the same networks.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/models/folded_network.h>
#include <qing/nn/models/vision_transformer.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/creation.h>

namespace {

using namespace qing;

constexpr int kWarm = 3;  // the first steps allocate memory and start threads

// Steps per second, over at least `seconds`.
template <class Step> double rate(double seconds, const Step& step) {
  const auto now = [] { return std::chrono::steady_clock::now(); };
  for (int i = 0; i < kWarm; ++i) step();
  const auto begin = now();
  int steps = 0;
  double passed = 0;
  while (passed < seconds) {
    step();
    ++steps;
    passed = std::chrono::duration<double>(now() - begin).count();
  }
  return steps / passed;
}

double train(nn::UnaryModule& network, const Tensor& x, const Tensor& y, double seconds) {
  network.set_requires_grad(true);
  network.train();
  optim::Sgd sgd(network.parameters(), {.lr = 0.01, .momentum = 0.9});
  return rate(seconds, [&] {
    sgd.zero_grad();
    backward(cross_entropy(network.forward(x), y));
    sgd.step();
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc >= 5 ? argv[1] : "", name = argc >= 5 ? argv[2] : "",
                    precision = argc >= 6 ? argv[5] : "f32";
  if (argc > 6 || (mode != "train" && mode != "infer") || (name != "resnet" && name != "vit") ||
      (precision != "f32" && precision != "bf16") || (mode == "infer" && precision != "f32")) {
    std::fprintf(stderr, "usage: %s train resnet|vit BATCH SECONDS [f32|bf16], or infer resnet|vit BATCH SECONDS\n",
                 argv[0]);
    return 2;
  }
  const AutocastGuard products(precision == "bf16" ? DType::bf16 : DType::f32);
  const int64_t batch = std::atol(argv[3]);
  const double seconds = std::atof(argv[4]);
  Generator rng(1);
  nn::ResidualNetwork resnet({.widths = {32, 64, 128}}, rng);
  nn::VisionTransformer vit({}, rng);
  const Tensor x = randn({batch, 1, 28, 28}, rng), y = randint(0, 10, {batch}, rng);
  double steps = 0;
  if (mode == "train") {
    steps = name == "resnet" ? train(resnet, x, y, seconds) : train(vit, x, y, seconds);
  } else if (name == "resnet") {
    const nn::FoldedResidualNetwork folded(resnet);
    steps = rate(seconds, [&] { folded.forward(x); });
  } else {
    const NoGradGuard no_grad;
    nn::pack_linear_layers(vit);
    steps = rate(seconds, [&] { vit.forward(x); });
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%.1f %ld\n", steps * static_cast<double>(batch), usage.ru_maxrss * 1024);
}
