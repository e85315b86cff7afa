// Trains the network of 05 on batches: a loader shuffles the examples anew in each epoch and collates them.
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

  // Example i is {points[i], inside[i]}. Two threads prepare batches while the network computes; the batches are the
  // same with any number of them.
  nn::DataLoader loader(nn::TensorDataset({points, inside}), nn::default_collate,
                        {.batch_size = 64, .shuffle = true, .seed = 1, .num_workers = 2});
  while (loader.epoch() < 5) {
    const auto epoch = static_cast<int>(loader.epoch());
    double total = 0;
    int64_t batches = 0, last = 0;
    for (const std::vector<Tensor>& batch : loader) {
      const Tensor loss = cross_entropy(model(batch[0]), batch[1]);
      adamw.zero_grad();
      backward(loss);
      adamw.step();
      total += loss.item();
      ++batches;
      last = batch[0].size(0);
    }
    const NoGradGuard guard;  // the accuracy needs no graph
    std::printf("epoch %d   %lld batches, the last of %lld   loss %.4f   accuracy %.3f\n", epoch,
                static_cast<long long>(batches), static_cast<long long>(last), total / static_cast<double>(batches),
                nn::accuracy(model(points), inside));
  }
} catch (const qing::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
