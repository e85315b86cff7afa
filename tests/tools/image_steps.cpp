// Trains an image network for tests/python/test_image_parity.py: image_steps MODEL X.npy Y.npy LR MOMENTUM takes a step
// of SGD on each batch and prints its loss, then prints "logits" and the logits of the first batch in evaluation mode,
// of the recorded network and of the one for inference.
#include <cstdio>
#include <cstdlib>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/losses.h>
#include <qing/nn/models/image_classifier.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/npy.h>

namespace {

using namespace qing;

void print(const Tensor& values) {
  const Tensor dense = values.alias().contiguous();
  for (int64_t i = 0; i < dense.numel(); ++i) std::printf("%.9g ", static_cast<double>(dense.data<float>()[i]));
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const nn::ImageConfig config = nn::ImageConfig::load(std::filesystem::path(argv[1]) / "config.json");
  auto network = nn::load_image_network(argv[1], config);
  const Tensor x = load_npy(argv[2]), y = load_npy(argv[3]);
  network->set_requires_grad(true);
  network->train();
  optim::Sgd sgd(network->parameters(), {.lr = std::atof(argv[4]), .momentum = std::atof(argv[5])});
  const auto batch = [&](int64_t step) { return x.slice(0, step, step + 1).squeeze(0).contiguous(); };
  for (int64_t step = 0; step < x.size(0); ++step) {
    const Tensor loss =
        cross_entropy(network->forward(batch(step)), y.slice(0, step, step + 1).squeeze(0).contiguous());
    sgd.zero_grad();
    backward(loss);
    sgd.step();
    std::printf("%.9g\n", loss.item());
  }
  network->eval();
  const NoGradGuard no_grad;
  std::printf("logits\n");
  print(network->forward(batch(0)));
  const nn::ImageClassifier classifier(config, std::move(network), DType::f32);
  std::vector<float> logits;
  for (const nn::ImagePrediction& prediction : classifier.predict_normalized(batch(0))) {
    logits.insert(logits.end(), prediction.logits.begin(), prediction.logits.end());
  }
  print(Tensor::from(std::span<const float>(logits), {static_cast<int64_t>(logits.size())}));
}
