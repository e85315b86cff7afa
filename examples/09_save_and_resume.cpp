// Trains the network of 05 up to a step, from the last checkpoint in a folder if there is one, and saves its weights.
// Usage: 09_save_and_resume FOLDER STEPS
#include <qing/qing.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

int main(int argc, char** argv) try {
  using namespace qing;
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FOLDER STEPS    (checkpoints and weights will be written there)\n", argv[0]);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  Generator rng(1);
  const Tensor points = randn({1000, 2}, rng), distances = sum(points * points, {1});
  const Tensor inside = zeros({1000}, DType::i64);
  for (int64_t i = 0; i < 1000; ++i) inside[i].fill(distances.at({i}) < 1.4);

  nn::Sequential model(nn::Linear(2, 32, rng), nn::Tanh(), nn::Linear(32, 2, rng));
  model.set_requires_grad(true);
  optim::AdamW adamw(model.parameters(), {.lr = 0.02});
  nn::DataLoader loader(nn::TensorDataset({points, inside}), nn::default_collate,
                        {.batch_size = 64, .shuffle = true, .seed = 1});
  const auto loss = [&](const std::vector<Tensor>& batch) { return cross_entropy(model(batch[0]), batch[1]); };

  // A checkpoint holds the weights, the optimizer's moments and the loader's position.
  optim::TrainerOptions options{.max_epochs = 0, .max_steps = std::atoll(argv[2])};
  options.checkpoints = folder / "checkpoints";
  optim::Trainer trainer(model, adamw, optim::losses_of(loader, loss), options);
  const optim::TrainerResult result = trainer.run();
  if (result.resumed_from > 0) {
    std::printf("went on after step %lld\n", static_cast<long long>(result.resumed_from));
  }

  // Who only computes with the model needs its weights alone. Another model of the same layers loads them by name.
  nn::save_safetensors(folder / "model.safetensors", {.tensors = model.state_dict(), .metadata = {}});
  nn::Sequential loaded(nn::Linear(2, 32, rng), nn::Tanh(), nn::Linear(32, 2, rng));
  loaded.load_state_dict(nn::load_safetensors(folder / "model.safetensors").tensors);
  std::printf("step %lld   loss of all points %.7f\n", static_cast<long long>(result.steps),
              cross_entropy(loaded(points), inside).item());
} catch (const qing::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
