// Trains a network to tell which points of the plane are inside a circle.
#include <qing/qing.h>

#include <cstdio>

int main() try {
  using namespace qing;
  Generator rng(1);
  const Tensor points = randn({1000, 2}, rng), distances = sum(points * points, {1});
  const Tensor inside = zeros({1000}, DType::i64);
  for (int64_t i = 0; i < 1000; ++i) inside[i].fill(distances.at({i}) < 1.4);

  nn::Sequential model(nn::Linear(2, 32, rng), nn::Tanh(), nn::Linear(32, 2, rng));
  model.set_requires_grad(true);
  optim::AdamW adamw(model.parameters(), {.lr = 0.02});
  for (int step = 0; step <= 200; ++step) {
    const Tensor logits = model(points), loss = cross_entropy(logits, inside);
    adamw.zero_grad();
    backward(loss);
    adamw.step();
    if (step % 50 == 0) {
      std::printf("step %3d   loss %.4f   accuracy %.3f\n", step, loss.item(), nn::accuracy(logits, inside));
    }
  }
} catch (const qing::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
